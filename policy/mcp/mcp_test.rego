package mcp_test

import data.mcp

asked(method, body, scopes) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": ["mcp"],
	"parsed_body": body,
	"truncated_body": false,
	"identity": {"subject": "agent-7", "scopes": scopes},
}

call(name, scopes) := asked("POST", {"method": "tools/call", "params": {"name": name}}, scopes)

test_a_scope_opens_its_tools if {
	result := mcp.result with input as call("search", ["docs:read"])
	result == {"allowed": true, "dynamic_metadata": {"rule": "tool", "tool": "search"}}
	mcp.result.allowed with input as call("publish", ["docs:read", "docs:write"])
}

test_a_missing_scope_is_named if {
	result := mcp.result with input as call("delete", ["docs:read"])
	result.allowed == false
	result.headers["www-authenticate"] == "Bearer error=\"insufficient_scope\", scope=\"docs:admin\""
}

test_a_tool_that_nobody_listed_is_closed if {
	mcp.result == {"allowed": false, "http_status": 403} with input as call("shell", ["docs:admin"])
}

test_the_handshake_is_open if {
	mcp.result.allowed with input as asked("POST", {"method": "initialize"}, [])
}

test_batches_and_other_methods_are_closed if {
	not mcp.result.allowed with input as asked("POST", [{"method": "initialize"}], ["docs:read"])
	not mcp.result.allowed with input as asked("POST", {"method": "resources/read"}, ["docs:read"])
}

test_a_body_that_was_cut_is_closed if {
	whole := call("search", ["docs:read"])
	not mcp.result.allowed with input as object.union(whole, {"truncated_body": true, "parsed_body": null})
}

test_the_stream_is_for_who_has_any_scope if {
	mcp.result.allowed with input as asked("GET", null, ["docs:read"])
	not mcp.result.allowed with input as asked("GET", null, [])
}
