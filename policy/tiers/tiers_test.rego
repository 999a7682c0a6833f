package tiers_test

import data.tiers

asked(method, path, held) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": path,
	"identity": {"claims": held},
}

test_everybody_is_free_at_first if {
	result := tiers.result with input as asked("GET", ["orders"], {})
	result.dynamic_metadata == {"tier": "free", "requests_per_minute": 60, "cost": 1}
	result.headers == {"x-ratelimit-limit": "60"}
}

test_two_seats_make_a_team if {
	tiers.tier == "team" with input as asked("GET", ["orders"], {"seats": ["ann", "bob"]})
}

test_enterprise_comes_first if {
	tiers.tier == "enterprise" with input as asked("GET", [], {"plan": "enterprise", "seats": ["ann", "bob"]})
}

test_a_write_costs_ten if {
	tiers.result.dynamic_metadata.cost == 10 with input as asked("POST", ["orders"], {})
}

test_exports_are_not_free if {
	tiers.result.allowed == false with input as asked("GET", ["export"], {})
	tiers.result.allowed with input as asked("GET", ["export"], {"plan": "enterprise"})
}
