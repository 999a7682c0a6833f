# Claims of a verified token to paths: each scope opens a part of the API, a tenant only its own.
package claims

default result := {"allowed": false, "http_status": 403}

result := {"allowed": true, "headers": {"x-tenant": token.tenant}} if {
	granted
	own_tenant
}

result := {
	"allowed": false,
	"http_status": 401,
	"headers": {"www-authenticate": "Bearer error=\"invalid_token\""},
} if not token

# ztag has verified signature, issuer, audience and times before a policy runs.
token := input.identity.claims if input.identity.kind == "jwt"

scopes := {scope | some scope in split(token.scope, " ")}

verbs := {"GET": "read", "HEAD": "read", "POST": "write", "PUT": "write", "DELETE": "write"}

# GET /v1/{tenant}/orders/… needs orders:read.
needed := sprintf("%s:%s", [input.parsed_path[2], verbs[input.attributes.request.http.method]]) if {
	input.parsed_path[0] == "v1"
}

granted if needed in scopes

# Writing includes reading.
granted if {
	endswith(needed, ":read")
	replace(needed, ":read", ":write") in scopes
}

own_tenant if input.parsed_path[1] == token.tenant
