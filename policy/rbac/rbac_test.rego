package rbac_test

import data.rbac

asked(user, action, object) := {"user": user, "action": action, "object": object}

test_an_administrator_may_do_anything if {
	rbac.allow with input as asked("ann", "delete", "/orders/7")
}

test_a_clerk_reads_orders if {
	rbac.allow with input as asked("cyd", "read", "/orders/7")
}

test_a_clerk_creates_orders if {
	rbac.allow with input as asked("cyd", "create", "/orders")
}

test_a_star_ends_at_a_slash if {
	not rbac.allow with input as asked("cyd", "read", "/orders/7/notes")
}

test_an_auditor_reads_everything if {
	rbac.allow with input as asked("bob", "read", "/invoices/2024/7")
}

test_an_auditor_changes_nothing if {
	not rbac.allow with input as asked("bob", "delete", "/invoices/2024/7")
}

test_the_grants_of_all_roles_count if {
	count(rbac.grants) == 3 with input as asked("bob", "read", "/")
}

test_nobody_knows_eve if {
	not rbac.allow with input as asked("eve", "read", "/orders/7")
	rbac.roles == [] with input as asked("eve", "read", "/orders/7")
}

test_a_request_without_user_is_refused if {
	not rbac.allow with input as {"action": "read", "object": "/orders/7"}
}
