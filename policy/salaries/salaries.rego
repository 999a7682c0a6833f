# The rules of OPA's own tutorial for HTTP APIs: people may see their own salary, and those of who reports to them.
package salaries

default allow := false

allow if {
	input.attributes.request.http.method == "GET"
	input.parsed_path == ["finance", "salary", input.identity.subject]
}

allow if {
	input.attributes.request.http.method == "GET"
	some name in data.salaries.managers[input.identity.subject]
	input.parsed_path == ["finance", "salary", name]
}

# Whoever is in human resources sees all of them.
allow if {
	input.attributes.request.http.method == "GET"
	count(input.parsed_path) == 3
	array.slice(input.parsed_path, 0, 2) == ["finance", "salary"]
	input.identity.subject in data.salaries.hr
}
