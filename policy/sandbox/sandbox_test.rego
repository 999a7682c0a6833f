package sandbox_test

import data.sandbox

asked(method) := {"attributes": {"request": {"http": {"method": method}}}}

test_reading_passes if {
	sandbox.result.headers["x-current-user"] == "OPA" with input as asked("GET")
}

test_nothing_else_does if {
	sandbox.result == false with input as asked("POST")
}
