# Rate tiers: the decision names the tier, and Envoy's rate limiter reads it from the dynamic metadata.
package tiers

limits := {"free": 60, "team": 600, "enterprise": 6000}

default tier := "free"

tier := "enterprise" if {
	input.identity.claims.plan == "enterprise"
} else := "team" if {
	count(input.identity.claims.seats) > 1
}

# A write counts as ten reads.
cost := 10 if {
	input.attributes.request.http.method in {"POST", "PUT", "PATCH", "DELETE"}
} else := 1

# Exports are not for everybody.
default allowed := true

allowed := false if {
	input.parsed_path[0] == "export"
	tier == "free"
}

result := {
	"allowed": allowed,
	"headers": {"x-ratelimit-limit": sprintf("%d", [limits[tier]])},
	"dynamic_metadata": {"tier": tier, "requests_per_minute": limits[tier], "cost": cost},
}
