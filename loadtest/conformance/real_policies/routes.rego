# input: {"method": "GET", "path": "/api/v1/users/42", "scopes": ["users:read"], "source": "10.1.2.3"}
# input: {"method": "DELETE", "path": "/api/v1/users/42", "scopes": ["users:*"], "source": "192.168.0.9"}
# input: {"method": "GET", "path": "/health", "source": "::ffff:10.0.0.1"}
# input: {"method": "PUT", "path": "/api/v2/orders/7/items", "scopes": ["orders:write", "users:read"], "source": "bad"}
# query: data.routes.allow
# query: data.routes.matched
# query: data.routes.limits
package routes

table := [
	{"pattern": "/health", "methods": ["GET"], "public": true},
	{"pattern": "/api/*/users/*", "methods": ["GET", "DELETE"], "scope": "users"},
	{"pattern": "/api/{v1,v2}/orders/**", "methods": ["PUT", "POST"], "scope": "orders"},
	{"pattern": "/api/**", "methods": ["GET"], "scope": "any"},
]

verbs := {"GET": "read", "PUT": "write", "POST": "write", "DELETE": "delete"}

matched contains i if {
	some i, route in table
	glob.match(route.pattern, ["/"], input.path)
	input.method in route.methods
}

needed contains sprintf("%s:%s", [table[i].scope, verbs[input.method]]) if some i in matched

allow if {
	some i in matched
	table[i].public
}

allow if {
	count(needed) > 0
	every scope in needed {
		some held in input.scopes
		regex.match(sprintf("^%s$", [replace(held, "*", "[a-z]+")]), scope)
	}
	inside
}

inside if net.cidr_contains("10.0.0.0/8", input.source)

inside if startswith(input.source, "192.168.")

limits[scope] := n if {
	some scope in input.scopes
	n := count(split(scope, ":")[0]) * 10
}
