# Attributes of who asks and of what is asked for: tenant, department, time of day. `/tenants/{tenant}/records/{id}`.
package tenancy

zone := "Europe/Berlin"

default allow := false

# Nothing leaves its tenant, whatever else holds.
allow if {
	same_tenant
	permitted
}

same_tenant if {
	input.parsed_path[0] == "tenants"
	input.parsed_path[1] == claims.tenant
	record.tenant == claims.tenant
}

# Public records are for everybody in the tenant.
permitted if {
	reading
	record.level == "public"
}

# Confidential ones are for their department, in working hours.
permitted if {
	reading
	record.level == "confidential"
	record.department == claims.department
	working_hours
}

# Who owns a record may change it at any time.
permitted if record.owner == input.identity.subject

claims := input.identity.claims

record := data.tenancy.records[input.parsed_path[3]]

reading if input.attributes.request.http.method in {"GET", "HEAD"}

working_hours if {
	now := time.now_ns()
	not time.weekday([now, zone]) in {"Saturday", "Sunday"}
	time.clock([now, zone])[0] in numbers.range(7, 18)
}
