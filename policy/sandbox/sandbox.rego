# The rules of Envoy's own ext_authz example with OPA: reading passes, and the upstream learns who let it; nothing else does.
package sandbox

default result := false

result := {"allowed": true, "headers": {"x-current-user": "OPA"}} if input.attributes.request.http.method == "GET"
