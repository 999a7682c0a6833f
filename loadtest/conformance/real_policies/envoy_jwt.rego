# input: {"attributes": {"request": {"http": {"method": "GET", "path": "/people/1?x=1", "headers": {"authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiZ3Vlc3QiLCJzdWIiOiJZV3hwWTJVPSJ9.x"}}}}, "parsed_path": ["people", "1"], "parsed_query": {"x": ["1"]}}
# input: {"attributes": {"request": {"http": {"method": "POST", "path": "/people", "headers": {"authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYWRtaW4iLCJzdWIiOiJZbTlpIn0.x"}}}}, "parsed_path": ["people"], "parsed_body": {"firstname": "charlie"}}
# input: {"attributes": {"request": {"http": {"method": "POST", "path": "/people", "headers": {}}}}, "parsed_path": ["people"]}
# input: {}
# query: data.envoy.authz.allow
# query: data.envoy.authz.headers
# query: data.envoy.authz.status
package envoy.authz

import input.attributes.request.http as request

default allow := false

allow if {
	action_allowed
	not invalid_token
}

token := payload if {
	scheme_and_token := split(request.headers.authorization, " ")
	lower(scheme_and_token[0]) == "bearer"
	[_, payload, _] := io.jwt.decode(scheme_and_token[1])
}

invalid_token if not token.role

action_allowed if {
	request.method == "GET"
	token.role == "guest"
	glob.match("/people/*", ["/"], split(request.path, "?")[0])
}

action_allowed if {
	request.method in {"GET", "POST"}
	token.role == "admin"
	input.parsed_path[0] == "people"
	lower(object.get(input, ["parsed_body", "firstname"], "")) != base64.decode(token.sub)
}

headers["x-role"] := token.role

headers["x-path"] := concat("/", input.parsed_path)

status := 200 if allow

status := 401 if not token

status := 403 if {
	token
	not allow
}
