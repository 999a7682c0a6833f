# The fine decision, asked only where the coarse one allows: is it theirs?
package layers.fine

default result := {"allowed": false, "dynamic_metadata": {"rule": "not-theirs"}}

result := {"allowed": true, "headers": {"x-tenant": account.tenant}} if {
	account.tenant == input.identity.claims.tenant
	input.attributes.request.http.method == "GET"
}

result := {"allowed": true, "headers": {"x-tenant": account.tenant}} if {
	account.owner == input.identity.subject
	input.attributes.request.http.method != "GET"
}

account := data.layers.accounts[input.parsed_path[1]]
