# input: {"user": "ann", "roles": ["editor"], "action": "write", "resource": {"type": "doc", "owner": "bob", "tags": ["x"]}}
# input: {"user": "bob", "roles": ["viewer", "auditor"], "action": "read", "resource": {"type": "doc", "owner": "bob", "tags": []}}
# input: {"user": "eve", "roles": [], "action": "delete", "resource": {"type": "vault", "owner": "ann", "tags": ["secret"]}}
# input: {"roles": ["admin"], "action": "delete"}
# query: data.authz.allow
# query: data.authz.reasons
# query: data.authz.granted
package authz

default allow := false

grants := {
	"admin": [{"action": "*", "type": "*"}],
	"editor": [{"action": "write", "type": "doc"}, {"action": "read", "type": "*"}],
	"viewer": [{"action": "read", "type": "doc"}],
}

granted contains grant if {
	some role in input.roles
	some grant in grants[role]
}

fits(wanted, actual) if wanted == "*"

fits(wanted, actual) if wanted == actual

allow if {
	some grant in granted
	fits(grant.action, input.action)
	fits(grant.type, input.resource.type)
	not blocked
}

allow if {
	input.user == input.resource.owner
	input.action in {"read", "write"}
}

blocked if {
	"secret" in input.resource.tags
	not "admin" in input.roles
}

reasons contains "no role" if count(input.roles) == 0

reasons contains "blocked" if blocked

reasons contains sprintf("%s may not %s", [input.user, input.action]) if not allow
