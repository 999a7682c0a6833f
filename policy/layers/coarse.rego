# The coarse decision: may somebody with these roles do this at all? Reads roles, method and the path's first segment, so
# that few different questions are asked, and nearly all answers are remembered.
package layers.coarse

default allow := false

allow if {
	some role in input.identity.roles
	input.attributes.request.http.method in data.layers.roles[role][input.parsed_path[0]]
}
