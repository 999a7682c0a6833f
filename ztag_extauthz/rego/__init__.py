"""Rego, OPA's policy language: parsed, checked as OPA checks it, and compiled to Python functions.

What cannot be answered exactly as OPA answers it is refused when a policy is loaded.
`engine.py` is the way in, `values.py` says what goes in and comes out, `documents.py` reads and writes it.
The folders are a policy's way, `syntax/`, `lower/`, `analysis/`, `compile/`, `runtime/`, and `builtins/` beside it.
The folder stands alone: it knows nothing of Envoy, of requests or of the server around it.
"""
