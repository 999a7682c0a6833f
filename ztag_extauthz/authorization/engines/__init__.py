"""Who evaluates: the engine inside ztag, or an OPA beside it."""
