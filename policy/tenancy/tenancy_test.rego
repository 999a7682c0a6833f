package tenancy_test

import data.tenancy

noon := time.parse_rfc3339_ns("2025-01-15T12:00:00Z")

night := time.parse_rfc3339_ns("2025-01-15T23:00:00Z")

sunday := time.parse_rfc3339_ns("2025-01-19T12:00:00Z")

asked(subject, department, method, tenant, record) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": ["tenants", tenant, "records", record],
	"identity": {"subject": subject, "claims": {"tenant": "acme", "department": department}},
}

test_public_records_are_for_the_tenant if {
	tenancy.allow with input as asked("ann", "legal", "GET", "acme", "1") with time.now_ns as night
}

test_confidential_ones_for_the_department_in_working_hours if {
	tenancy.allow with input as asked("ann", "sales", "GET", "acme", "2") with time.now_ns as noon
	not tenancy.allow with input as asked("ann", "legal", "GET", "acme", "2") with time.now_ns as noon
	not tenancy.allow with input as asked("ann", "sales", "GET", "acme", "2") with time.now_ns as night
	not tenancy.allow with input as asked("ann", "sales", "GET", "acme", "2") with time.now_ns as sunday
}

test_owners_may_at_any_time if {
	tenancy.allow with input as asked("bob", "sales", "PUT", "acme", "2") with time.now_ns as night
	not tenancy.allow with input as asked("ann", "sales", "PUT", "acme", "1") with time.now_ns as noon
}

test_another_tenants_records_are_closed_by_path_and_by_record if {
	not tenancy.allow with input as asked("ann", "sales", "GET", "umbrella", "3") with time.now_ns as noon
	not tenancy.allow with input as asked("ann", "sales", "GET", "acme", "3") with time.now_ns as noon
	not tenancy.allow with input as asked("eve", "sales", "GET", "umbrella", "1") with time.now_ns as noon
}

test_what_is_not_there_is_nobodys if {
	not tenancy.allow with input as asked("ann", "sales", "GET", "acme", "9") with time.now_ns as noon
}
