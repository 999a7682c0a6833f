package claims_test

import data.claims

ann := {"kind": "jwt", "subject": "ann", "claims": {"tenant": "acme", "scope": "orders:write reports:read"}}

asked(method, path, identity) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": path,
	"identity": identity,
}

test_a_scope_opens_its_part if {
	result := claims.result with input as asked("GET", ["v1", "acme", "reports"], ann)
	result == {"allowed": true, "headers": {"x-tenant": "acme"}}
}

test_writing_includes_reading if {
	claims.result.allowed with input as asked("GET", ["v1", "acme", "orders", "7"], ann)
}

test_reading_does_not_include_writing if {
	not claims.granted with input as asked("POST", ["v1", "acme", "reports"], ann)
	claims.result.http_status == 403 with input as asked("POST", ["v1", "acme", "reports"], ann)
}

test_other_tenants_are_closed if {
	claims.result.allowed == false with input as asked("GET", ["v1", "umbrella", "orders"], ann)
}

test_an_unknown_method_is_refused if {
	claims.result.http_status == 403 with input as asked("TRACE", ["v1", "acme", "orders"], ann)
}

test_outside_of_v1_nothing_is_open if {
	claims.result.http_status == 403 with input as asked("GET", ["v2", "acme", "orders"], ann)
}

test_without_token_401 if {
	nobody := {"kind": "anonymous", "subject": "anonymous", "claims": {}}
	result := claims.result with input as asked("GET", ["v1", "acme", "orders"], nobody)
	result.http_status == 401
	result.headers["www-authenticate"]
}
