"""ztag: an Envoy external-authorization server.

`pipeline.py` is the way of one request; the folders named after its stages hold what it meets there.
"""

__version__ = "0.1.0"
