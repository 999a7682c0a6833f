# Roles from the token: what each role may do is data; who has a role, the identity provider says.
package roles

default result := {"allowed": false}

result := {"allowed": true, "headers": {"x-roles": concat(",", sort(input.identity.roles))}} if {
	some role in input.identity.roles
	some grant in data.roles.grants[role]
	input.attributes.request.http.method in grant.methods
	glob.match(grant.path, ["/"], path)
}

path := split(input.attributes.request.http.path, "?")[0]
