# The rules of OPA's own tutorial for Envoy, a list of people: guests and admins may read it, admins may add to it, but not
# themselves. As there, the policy verifies the token by itself; where ztag does (kind: jwt), `input.identity` says it.
package people

default allow := false

allow if {
	valid
	permitted
}

valid if {
	now := time.now_ns() / 1000000000
	token.nbf <= now
	now < token.exp
}

permitted if {
	input.attributes.request.http.method == "GET"
	token.role in {"guest", "admin"}
	input.parsed_path[0] == "people"
}

permitted if {
	input.attributes.request.http.method == "POST"
	token.role == "admin"
	input.parsed_path == ["people"]
	lower(input.parsed_body.firstname) != base64url.decode(token.sub)
}

token := payload if {
	[scheme, encoded] := split(input.attributes.request.http.headers.authorization, " ")
	scheme == "Bearer"
	[verified, _, payload] := io.jwt.decode_verify(encoded, {"secret": data.people.secret, "alg": "HS256"})
	verified
}
