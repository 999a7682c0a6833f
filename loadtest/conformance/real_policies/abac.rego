# input: {"subject": {"id": "u1", "clearance": 3, "department": "ops", "groups": ["on-call"]}, "object": {"level": 2, "department": "ops"}, "hour": 9}
# input: {"subject": {"id": "u2", "clearance": 1, "department": "hr"}, "object": {"level": 2, "department": "hr"}, "hour": 22}
# input: {"subject": {"id": "u3", "clearance": 2.0, "department": "hr", "groups": []}, "object": {"level": 2, "department": "law"}, "hour": 12}
# input: {"subject": null, "object": {}, "hour": "9"}
# query: data.abac.decision
# query: data.abac.allow
# query: data.abac.violations
package abac

allow if count(violations) == 0

violations contains "clearance" if input.subject.clearance < input.object.level

violations contains "department" if {
	input.subject.department != input.object.department
	not shared_group
}

violations contains "hours" if {
	not working_hours
	not "on-call" in object.get(input.subject, "groups", [])
}

working_hours if {
	input.hour >= 8
	input.hour < 18
}

shared_group if {
	some group in input.subject.groups
	group in {"on-call", "auditors"}
}

decision := {"allow": true, "headers": {"x-subject": input.subject.id}} if {
	allow
} else := {"allow": false, "because": sort([v | some v in violations]), "count": count(violations)}
