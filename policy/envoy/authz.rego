# A small shop: who may do what with orders, reports and the administration.
#
# ztag has verified the token before this runs: `input.identity` says who asks. A decision that needs the body refuses a
# body that Envoy had to cut.
package envoy.authz

default allow := false

# Anybody may ask whether the shop is alive.
allow if {
	input.attributes.request.http.method == "GET"
	input.parsed_path == ["health"]
}

# Whoever shows a token may read orders.
allow if {
	known
	input.attributes.request.http.method == "GET"
	input.parsed_path[0] == "orders"
}

# Editors may place orders of up to 1,000.
allow if {
	known
	input.attributes.request.http.method == "POST"
	input.parsed_path == ["orders"]
	"editor" in roles
	not input.truncated_body
	input.parsed_body.amount <= 1000
}

# A report is for those who work in its region.
allow if {
	known
	input.attributes.request.http.method == "GET"
	input.parsed_path == ["reports"]
	count(input.parsed_query.region) == 1
	input.parsed_query.region[0] in input.identity.claims.regions
}

allow if {
	known
	input.parsed_path[0] == "admin"
	"admin" in roles
}

known if input.identity.kind != "anonymous"

default roles := []

roles := input.identity.claims.roles

result := {
	"allowed": true,
	"headers": {"x-user": input.identity.subject},
	"query_parameters_to_set": tenant,
	"dynamic_metadata": {"roles": roles},
} if {
	allow
}

result := {"allowed": false} if {
	not allow
	known
}

# Nobody yet: say how to become somebody (RFC 6750).
result := {"allowed": false, "http_status": 401, "headers": {"www-authenticate": "Bearer realm=\"shop\""}} if {
	not allow
	not known
}

default tenant := {}

tenant := {"tenant": input.identity.claims.tenant} if input.parsed_path == ["reports"]
