"""Whether the files of `listen.tls` can be used: asked before they replace those in force."""

import hashlib
import ssl
from pathlib import Path

from ztag_extauthz.errors import Mistake
from ztag_extauthz.settings import TlsSettings


def why_not(tls: TlsSettings) -> str:
    """Say why the files cannot be used, a line for each of them, "" if they can."""
    return "\n".join(map(str, mistakes(tls)))


def mistakes(tls: TlsSettings, section: str = "listen.tls") -> tuple[Mistake, ...]:
    """Return what is wrong with the files of a section: missing, no PEM, a key of another certificate."""
    files = {"certificate": tls.certificate, "key": tls.key} | ({"client_ca": tls.client_ca} if tls.client_ca else {})
    found = {name: what for name, path in files.items() if (what := _unreadable(path))}
    for name in files.keys() - found.keys() - {"key"}:
        if not _holds_certificates(files[name]):
            found[name] = "holds no certificate in PEM"
    if not found.keys() & {"certificate", "key"} and (what := _unfit(tls, section)):
        found["key"] = what
    return tuple(Mistake(files[name], found[name], setting=f"{section}.{name}") for name in files if name in found)


def _unreadable(path: str) -> str:
    try:
        Path(path).read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""


def _holds_certificates(path: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError:
        return False
    return True


def _unfit(tls: TlsSettings, section: str) -> str:
    """Say why the key cannot be used with the certificate, "" if it can."""
    try:
        # Without a password OpenSSL would ask the terminal for that of an encrypted key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"does not belong to {section}.certificate"
        if error.reason in {None, "PEM_LIB", "NO_START_LINE", "BAD_PASSWORD_READ", "BAD_DECRYPT"}:
            return "holds no private key in PEM that can be read without a password"
        return f"cannot be used with {section}.certificate: {error.reason}"
    return ""


def digest(tls: TlsSettings | None) -> bytes:
    """Return what changes when the contents of the files do; b"" where they cannot be read, or there is no TLS."""
    names = (tls.certificate, tls.key, tls.client_ca) if tls else ()
    try:
        return b"".join(hashlib.sha256(Path(name).read_bytes()).digest() for name in names if name)
    except OSError:
        return b""
