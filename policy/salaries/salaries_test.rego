package salaries_test

import data.salaries

asked(subject, method, path) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": path,
	"identity": {"subject": subject},
}

of(name) := ["finance", "salary", name]

test_ones_own if {
	salaries.allow with input as asked("alice", "GET", of("alice"))
}

test_of_who_reports_to_one if {
	salaries.allow with input as asked("bob", "GET", of("alice"))
	not salaries.allow with input as asked("bob", "GET", of("charlie"))
	not salaries.allow with input as asked("alice", "GET", of("bob"))
}

test_human_resources_see_all if {
	salaries.allow with input as asked("david", "GET", of("bob"))
	not salaries.allow with input as asked("david", "GET", ["finance", "budget", "bob"])
}

test_nobody_writes if {
	not salaries.allow with input as asked("alice", "PUT", of("alice"))
}
