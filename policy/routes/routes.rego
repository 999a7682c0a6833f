# An API of 31 routes: a pattern, its methods, and the scope that it needs; none means that anybody may.
package routes

default allow := false

allow if {
	some route in matching
	route.scope == ""
}

allow if {
	some route in matching
	route.scope in scopes
}

scopes := {scope | some scope in split(input.identity.claims.scope, " ")}

path := split(input.attributes.request.http.path, "?")[0]

matching contains route if {
	some route in table
	input.attributes.request.http.method in route.methods
	glob.match(route.pattern, ["/"], path)
}

result := {"allowed": allow, "dynamic_metadata": {"routes": [route.pattern | some route in matching]}}

table := [
	{"pattern": "/health", "methods": {"GET"}, "scope": ""},
	{"pattern": "/ready", "methods": {"GET"}, "scope": ""},
	{"pattern": "/v1/catalogue", "methods": {"GET"}, "scope": ""},
	{"pattern": "/v1/catalogue/*", "methods": {"GET"}, "scope": ""},
	{"pattern": "/v1/search", "methods": {"GET"}, "scope": ""},
	{"pattern": "/v1/orders", "methods": {"GET"}, "scope": "orders:read"},
	{"pattern": "/v1/orders", "methods": {"POST"}, "scope": "orders:write"},
	{"pattern": "/v1/orders/*", "methods": {"GET"}, "scope": "orders:read"},
	{"pattern": "/v1/orders/*", "methods": {"PUT", "DELETE"}, "scope": "orders:write"},
	{"pattern": "/v1/orders/*/items", "methods": {"GET"}, "scope": "orders:read"},
	{"pattern": "/v1/orders/*/items/*", "methods": {"PUT", "DELETE"}, "scope": "orders:write"},
	{"pattern": "/v1/orders/*/invoice", "methods": {"GET"}, "scope": "invoices:read"},
	{"pattern": "/v1/invoices", "methods": {"GET"}, "scope": "invoices:read"},
	{"pattern": "/v1/invoices/*", "methods": {"GET"}, "scope": "invoices:read"},
	{"pattern": "/v1/invoices/*/pdf", "methods": {"GET"}, "scope": "invoices:read"},
	{"pattern": "/v1/customers", "methods": {"GET"}, "scope": "customers:read"},
	{"pattern": "/v1/customers", "methods": {"POST"}, "scope": "customers:write"},
	{"pattern": "/v1/customers/*", "methods": {"GET"}, "scope": "customers:read"},
	{"pattern": "/v1/customers/*", "methods": {"PATCH", "DELETE"}, "scope": "customers:write"},
	{"pattern": "/v1/customers/*/orders", "methods": {"GET"}, "scope": "orders:read"},
	{"pattern": "/v1/stock", "methods": {"GET"}, "scope": "stock:read"},
	{"pattern": "/v1/stock/*", "methods": {"GET"}, "scope": "stock:read"},
	{"pattern": "/v1/stock/*", "methods": {"PUT"}, "scope": "stock:write"},
	{"pattern": "/v1/shipments", "methods": {"GET", "POST"}, "scope": "shipments:write"},
	{"pattern": "/v1/shipments/*/track", "methods": {"GET"}, "scope": ""},
	{"pattern": "/v1/reports/**", "methods": {"GET"}, "scope": "reports:read"},
	{"pattern": "/v1/webhooks", "methods": {"GET", "POST"}, "scope": "webhooks:write"},
	{"pattern": "/v1/webhooks/*", "methods": {"DELETE"}, "scope": "webhooks:write"},
	{"pattern": "/v1/admin/users/*", "methods": {"GET", "PUT", "DELETE"}, "scope": "admin"},
	{"pattern": "/v1/admin/**", "methods": {"GET"}, "scope": "admin"},
	{"pattern": "/internal/metrics", "methods": {"GET"}, "scope": "metrics:read"},
]
