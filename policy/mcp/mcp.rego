# Tools of an MCP server by scope: a call is a JSON-RPC message in the body (Envoy has to send bodies: `--body-bytes`).
package mcp

default result := {"allowed": false, "http_status": 403}

result := {"allowed": true, "dynamic_metadata": {"rule": "handshake", "tool": ""}} if {
	whole
	input.parsed_body.method in handshake
}

result := {"allowed": true, "dynamic_metadata": {"rule": "tool", "tool": tool}} if {
	whole
	input.parsed_body.method == "tools/call"
	data.mcp.tools[tool] in input.identity.scopes
}

# Say which scope is missing (RFC 6750), so that an agent can ask for it.
result := {
	"allowed": false,
	"http_status": 403,
	"headers": {"www-authenticate": sprintf("Bearer error=\"insufficient_scope\", scope=\"%s\"", [data.mcp.tools[tool]])},
} if {
	whole
	input.parsed_body.method == "tools/call"
	not data.mcp.tools[tool] in input.identity.scopes
}

# The stream of the server's messages, and its end, carry no call.
result := {"allowed": true, "dynamic_metadata": {"rule": "stream", "tool": ""}} if {
	input.parsed_path == ["mcp"]
	input.attributes.request.http.method in {"GET", "DELETE"}
	count(input.identity.scopes) > 0
}

whole if {
	input.parsed_path == ["mcp"]
	input.attributes.request.http.method == "POST"
	not input.truncated_body
}

tool := input.parsed_body.params.name

handshake := {"initialize", "notifications/initialized", "ping", "tools/list"}
