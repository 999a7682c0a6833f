package abac_test

import data.abac

asked(user, action, document) := {"user": user, "action": action, "document": document, "mfa": true}

test_colleagues_read if {
	abac.allow with input as asked("bob", "read", "budget")
}

test_colleagues_do_not_update if {
	not abac.allow with input as asked("bob", "update", "budget")
}

test_managers_update if {
	abac.allow with input as asked("ann", "update", "merger")
}

test_managers_do_not_delete if {
	not abac.allow with input as asked("ann", "delete", "merger")
}

test_owners_delete if {
	abac.allow with input as asked("cyd", "delete", "merger")
}

test_other_departments_do_not_read if {
	not abac.allow with input as asked("cyd", "read", "budget")
}

test_clearance_counts if {
	abac.refusals == {"the clearance is too low"} with input as asked("bob", "read", "merger")
}

test_secrets_need_a_second_factor if {
	weak := object.union(asked("ann", "read", "merger"), {"mfa": false})
	not abac.allow with input as weak
	abac.refusals == {"secrets need a second factor"} with input as weak
}

test_who_has_left_may_nothing if {
	not abac.allow with input as asked("dan", "read", "budget")
	abac.refusals == {"the user has left"} with input as asked("dan", "read", "budget")
}

test_the_unknown_are_named if {
	abac.refusals == {"the user is not known", "the document is not known"} with input as asked("eve", "read", "x")
}
