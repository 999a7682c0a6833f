package roles_test

import data.roles

asked(method, path, names) := {
	"attributes": {"request": {"http": {"method": method, "path": path}}},
	"identity": {"subject": "ann", "roles": names},
}

test_a_role_grants if {
	result := roles.result with input as asked("GET", "/projects/7", ["viewer"])
	result == {"allowed": true, "headers": {"x-roles": "viewer"}}
}

test_any_of_several_roles_grants if {
	result := roles.result with input as asked("PUT", "/projects/7?dry=1", ["viewer", "editor"])
	result.headers["x-roles"] == "editor,viewer"
}

test_no_role_no_access if {
	not roles.result.allowed with input as asked("GET", "/projects/7", [])
}

test_a_role_that_nobody_knows_grants_nothing if {
	not roles.result.allowed with input as asked("GET", "/projects/7", ["root"])
}

test_viewers_do_not_write if {
	not roles.result.allowed with input as asked("PUT", "/projects/7", ["viewer"])
}

test_only_admins_leave_the_projects if {
	not roles.result.allowed with input as asked("GET", "/users", ["editor"])
	roles.result.allowed with input as asked("DELETE", "/users/1", ["admin"])
}

test_a_query_is_no_path if {
	not roles.result.allowed with input as asked("GET", "/users?/projects/", ["viewer"])
}
