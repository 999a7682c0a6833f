package services_test

import data.services

id(name) := sprintf("spiffe://mesh.example/ns/shop/sa/%s", [name])

asked(kind, from, to, method, path) := {
	"attributes": {"request": {"http": {"method": method}}, "destination": {"principal": id(to)}},
	"parsed_path": path,
	"identity": {"kind": kind, "subject": id(from)},
}

test_orders_may_get_a_user if {
	result := services.result with input as asked("mesh", "orders", "users", "GET", ["users", "7"])
	result == {"allowed": true, "dynamic_metadata": {"rule": "orders-read-users"}}
	services.result.allowed with input as asked("jwt_svid", "orders", "users", "GET", ["users", "7"])
}

test_and_nothing_else if {
	every path in [["users"], ["users", ""], ["users", "7", "keys"], ["admins", "7"]] {
		not services.result.allowed with input as asked("mesh", "orders", "users", "GET", path)
	}
	not services.result.allowed with input as asked("mesh", "orders", "users", "DELETE", ["users", "7"])
}

test_others_may_not if {
	not services.result.allowed with input as asked("mesh", "frontend", "users", "GET", ["users", "7"])
	not services.result.allowed with input as asked("mesh", "orders", "payments", "GET", ["users", "7"])
}

test_a_name_that_the_mesh_does_not_vouch_for_is_nobody if {
	not services.result.allowed with input as asked("jwt", "orders", "users", "GET", ["users", "7"])
	not services.result.allowed with input as asked("anonymous", "orders", "users", "GET", ["users", "7"])
}
