"""What breaks, broken on purpose under load through a real Envoy."""
