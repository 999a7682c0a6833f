"""Glob patterns, as OPA's glob library reads them."""
