"""Whether the files of `listen.tls` can be used: asked before they replace those in force."""

import ssl

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
