"""Whether the files of `listen.tls` can be used: asked before they replace those in force."""

import hashlib
import ssl
from pathlib import Path

from ztag_extauthz.settings import TlsSettings


def why_not(tls: TlsSettings) -> str:
    """Say why the files cannot be used, "" if they can: missing, no PEM, a key of another certificate."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca:
            context.load_verify_locations(tls.client_ca)
    except OSError as error:
        return f"listen.tls: the files cannot be used: {error.strerror or error}"
    return ""


def digest(tls: TlsSettings | None) -> bytes:
    """Return what changes when the contents of the files do; b"" where they cannot be read, or there is no TLS."""
    names = (tls.certificate, tls.key, tls.client_ca) if tls else ()
    try:
        return b"".join(hashlib.sha256(Path(name).read_bytes()).digest() for name in names if name)
    except OSError:
        return b""
