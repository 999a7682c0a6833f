"""X.509 certificates and requests as Go reads them and writes them as JSON.

`der.py` reads, `names.py`, `public_keys.py` and `extensions.py` are the parts of a certificate, `certificates.py` the
whole. What Go may read in another way than this does ends the evaluation: it is never taken for undefined.
"""
