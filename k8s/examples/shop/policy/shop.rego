# Who may call what in the shop: the table in data.json, and nothing else.
package shop.authz

import rego.v1

default allowed := false

allowed if {
	some row in data.matrix
	row.caller == input.source_principal
	input.attributes.request.http.method in row.methods
	matches(row.path, input.parsed_path)
	permitted(row)
}

matches(pattern, path) if {
	count(pattern) == count(path)
	every index, part in pattern {
		part in {"*", path[index]}
	}
}

permitted(row) if not row.role

permitted(row) if row.role in input.identity.claims.roles

result := {"allowed": allowed}
