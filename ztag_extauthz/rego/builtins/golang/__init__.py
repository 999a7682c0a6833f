"""What Go's standard library does, where OPA's answers show it: printing, floats, time, URLs."""
