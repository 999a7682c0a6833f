# Service to service: who calls is the SPIFFE id of the mesh's certificate, and what is not listed is denied.
package services

default result := {"allowed": false}

result := {"allowed": true, "dynamic_metadata": {"rule": call.name}} if {
	some call in data.services.calls
	input.attributes.request.http.method in call.methods
	caller == call.from
	callee == call.to
	matches(call.path)
}

# Kinds of identity that the mesh itself vouches for.
caller := input.identity.subject if input.identity.kind in {"mesh", "jwt_svid"}

callee := input.attributes.destination.principal

# `/users/:id`: as many segments, and each the same or, after a colon, any but the empty one.
matches(pattern) if {
	parts := split(trim_prefix(pattern, "/"), "/")
	count(parts) == count(input.parsed_path)
	every index, part in parts {
		fits(part, input.parsed_path[index])
	}
}

fits(part, segment) if part == segment

fits(part, segment) if {
	startswith(part, ":")
	segment != ""
}
