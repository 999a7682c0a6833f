"""Signed tokens and their keys (RFC 7515, 7517, 7518, 8725), read as strictly as the documents allow."""
