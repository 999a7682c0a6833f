package envoy.authz_test

import data.envoy.authz

ann := {"kind": "jwt", "subject": "ann", "claims": {"roles": ["editor"], "regions": ["eu"], "tenant": "t1"}}

nobody := {"kind": "anonymous", "subject": "anonymous", "claims": {}}

asked(method, path) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": path,
	"parsed_query": {},
	"parsed_body": null,
	"truncated_body": false,
	"identity": ann,
}

order(amount) := object.union(asked("POST", ["orders"]), {"parsed_body": {"amount": amount}})

report(regions) := object.union(asked("GET", ["reports"]), {"parsed_query": {"region": regions}})

test_anybody_sees_health if {
	authz.result.allowed with input as object.union(asked("GET", ["health"]), {"identity": nobody})
}

test_health_alone_is_open if {
	not authz.allow with input as object.union(asked("GET", ["health", "x"]), {"identity": nobody})
}

test_orders_are_read_by_name if {
	result := authz.result with input as asked("GET", ["orders", "7"])
	result.allowed
	result.headers["x-user"] == "ann"
}

test_orders_are_not_for_nobody if {
	result := authz.result with input as object.union(asked("GET", ["orders"]), {"identity": nobody})
	result.allowed == false
	result.http_status == 401
}

test_small_orders_pass if {
	authz.allow with input as order(1000)
}

test_large_orders_do_not if {
	not authz.allow with input as order(1000.01)
}

test_a_cut_order_is_refused if {
	not authz.allow with input as object.union(order(1), {"truncated_body": true})
}

test_an_order_without_amount_is_refused if {
	not authz.allow with input as object.union(asked("POST", ["orders"]), {"parsed_body": {}})
}

test_reports_of_the_own_region if {
	result := authz.result with input as report(["eu"])
	result.allowed
	result.query_parameters_to_set == {"tenant": "t1"}
}

test_reports_of_another_region if {
	not authz.allow with input as report(["us"])
}

test_two_regions_are_not_one if {
	not authz.allow with input as report(["eu", "us"])
}

test_administration_is_for_admins if {
	not authz.allow with input as asked("GET", ["admin", "users"])
	admin := object.union(ann, {"claims": {"roles": ["admin"]}})
	authz.allow with input as object.union(asked("GET", ["admin", "users"]), {"identity": admin})
}

test_who_is_known_is_refused_plainly if {
	result := authz.result with input as asked("DELETE", ["orders", "7"])
	result == {"allowed": false}
}
