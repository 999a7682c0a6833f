"""What a policy sees: opa-envoy-plugin's `input`, and the part of it that a decision reads."""
