"""Load at a constant rate through Envoy, and what came of it."""
