package routes_test

import data.routes

asked(method, path, scope) := {
	"attributes": {"request": {"http": {"method": method, "path": path}}},
	"identity": {"claims": {"scope": scope}},
}

test_there_are_31_routes if {
	count(routes.table) == 31
}

test_some_routes_are_open if {
	routes.allow with input as asked("GET", "/v1/catalogue/7", "")
	routes.allow with input as {"attributes": {"request": {"http": {"method": "GET", "path": "/health"}}}}
}

test_a_scope_opens_its_routes if {
	routes.allow with input as asked("GET", "/v1/orders/7", "orders:read")
	not routes.allow with input as asked("GET", "/v1/orders/7", "invoices:read")
}

test_methods_count if {
	not routes.allow with input as asked("DELETE", "/v1/orders/7", "orders:read")
	routes.allow with input as asked("DELETE", "/v1/orders/7", "orders:write")
}

test_a_star_is_one_segment if {
	not routes.allow with input as asked("GET", "/v1/orders/7/8/9", "orders:read")
}

test_two_stars_are_any if {
	routes.allow with input as asked("GET", "/v1/reports/2024/q3?format=pdf", "reports:read")
}

test_the_query_does_not_count if {
	routes.allow with input as asked("GET", "/v1/search?q=/v1/admin/", "")
}

test_administration_needs_admin if {
	not routes.allow with input as asked("GET", "/v1/admin/users/7", "orders:read orders:write")
	routes.allow with input as asked("GET", "/v1/admin/users/7", "admin")
}

test_an_unknown_path_is_refused if {
	not routes.allow with input as asked("GET", "/v1/orders/../admin", "orders:read")
}

test_the_decision_names_its_routes if {
	result := routes.result with input as asked("GET", "/v1/admin/users/7", "admin")
	sort(result.dynamic_metadata.routes) == ["/v1/admin/**", "/v1/admin/users/*"]
}
