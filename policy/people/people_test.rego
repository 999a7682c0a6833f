package people_test

import data.people

# alice is a guest, bob an admin.
token(name, role) := io.jwt.encode_sign(
	{"alg": "HS256", "typ": "JWT"},
	{"sub": base64url.encode_no_pad(name), "role": role, "nbf": 1514851139, "exp": 4070908800},
	{"kty": "oct", "k": base64url.encode_no_pad(data.people.secret)},
)

alice := token("alice", "guest")

bob := token("bob", "admin")

asked(bearer, method, path, body) := {
	"attributes": {"request": {"http": {"method": method, "headers": {"authorization": concat(" ", ["Bearer", bearer])}}}},
	"parsed_path": path,
	"parsed_body": body,
}

test_both_may_read if {
	people.allow with input as asked(alice, "GET", ["people"], null)
	people.allow with input as asked(bob, "GET", ["people", "1"], null)
}

test_guests_do_not_add if {
	not people.allow with input as asked(alice, "POST", ["people"], {"firstname": "Charlie"})
}

test_admins_add_others_and_not_themselves if {
	people.allow with input as asked(bob, "POST", ["people"], {"firstname": "Charlie"})
	not people.allow with input as asked(bob, "POST", ["people"], {"firstname": "Bob"})
}

test_nobody_deletes if {
	not people.allow with input as asked(bob, "DELETE", ["people", "1"], null)
}

test_a_token_that_is_not_signed_so_is_none if {
	not people.allow with input as asked(concat("", [bob, "x"]), "GET", ["people"], null)
}

test_a_token_that_is_over_is_none if {
	not people.allow with input as asked(bob, "GET", ["people"], null) with time.now_ns as 4070908800000000000
}
