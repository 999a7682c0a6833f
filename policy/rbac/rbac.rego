# Roles: a user may do what one of their roles grants. Users and grants stand in data.json.
package rbac

default allow := false

# An administrator may do anything.
allow if "admin" in roles

allow if {
	some grant in grants
	input.action in grant.actions
	glob.match(grant.object, ["/"], input.object)
}

default roles := []

roles := data.rbac.members[input.user]

grants contains grant if {
	some role in roles
	some grant in data.rbac.permissions[role]
}
