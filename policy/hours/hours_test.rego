package hours_test

import data.hours

clerk := {"identity": {"claims": {"roles": ["clerk"]}}}

at(text) := time.parse_rfc3339_ns(text)

test_open_on_a_wednesday if {
	hours.allow with input as clerk with time.now_ns as at("2025-01-15T07:00:00Z")
}

test_closed_before_eight if {
	not hours.allow with input as clerk with time.now_ns as at("2025-01-15T06:59:59Z")
}

test_closed_at_six if {
	not hours.allow with input as clerk with time.now_ns as at("2025-01-15T17:00:00Z")
}

test_summer_time_counts if {
	hours.allow with input as clerk with time.now_ns as at("2025-07-16T06:00:00Z")
	not hours.allow with input as clerk with time.now_ns as at("2025-07-16T16:00:00Z")
}

test_closed_on_sunday if {
	not hours.allow with input as clerk with time.now_ns as at("2025-01-19T10:00:00Z")
}

test_on_call_at_night if {
	roles := {"identity": {"claims": {"roles": ["clerk", "on-call"]}}}
	hours.allow with input as roles with time.now_ns as at("2025-01-19T03:00:00Z")
}
