"""Load on loopback: the generator, the stage benchmark, and the comparison with opa-envoy-plugin."""
