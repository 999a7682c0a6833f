"""A real Envoy, ztag, an upstream and an issuer on this machine, for `ztag demo` and the end-to-end tests."""
