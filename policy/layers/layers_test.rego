package layers_test

import data.layers.coarse
import data.layers.fine

asked(subject, roles, method, path) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": path,
	"identity": {"subject": subject, "roles": roles, "claims": {"tenant": "acme"}},
}

test_a_role_may_do_what_it_may_anywhere if {
	coarse.allow with input as asked("ann", ["clerk"], "GET", ["accounts", "2"])
	not coarse.allow with input as asked("ann", ["clerk"], "PUT", ["accounts", "1"])
	not coarse.allow with input as asked("ann", ["owner"], "GET", ["reports"])
	not coarse.allow with input as asked("ann", [], "GET", ["accounts", "1"])
}

test_reading_stays_within_the_tenant if {
	fine.result.headers["x-tenant"] == "acme" with input as asked("ann", ["clerk"], "GET", ["accounts", "1"])
	fine.result.dynamic_metadata.rule == "not-theirs" with input as asked("ann", ["clerk"], "GET", ["accounts", "2"])
}

test_writing_is_for_the_owner if {
	fine.result.allowed with input as asked("bob", ["owner"], "PUT", ["accounts", "1"])
	not fine.result.allowed with input as asked("ann", ["owner"], "PUT", ["accounts", "1"])
}

test_what_is_not_there_is_nobodys if {
	not fine.result.allowed with input as asked("bob", ["owner"], "GET", ["accounts", "9"])
}
