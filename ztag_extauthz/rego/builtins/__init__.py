"""OPA's built-in functions, one file a family."""
