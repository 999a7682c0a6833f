# Time of day: the back office is open on working days in its own time zone; who is on call may always.
package hours

zone := "Europe/Berlin"

opens := 8

closes := 18

default allow := false

allow if {
	working_day
	working_hour
}

allow if "on-call" in input.identity.claims.roles

now := time.now_ns()

working_day if not time.weekday([now, zone]) in {"Saturday", "Sunday"}

working_hour if {
	[hour, _, _] := time.clock([now, zone])
	hour >= opens
	hour < closes
}
