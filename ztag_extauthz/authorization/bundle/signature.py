"""Signed bundles (OPA's `.signatures.json`): whose keys count, and whether every file is the one that was signed.

The signature is a JSON Web Token over the names and digests of all files. What it does not name, or names and is not
there, makes the bundle as wrong as another content does.
"""

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256, sha384, sha512
from pathlib import Path, PurePosixPath
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ztag_extauthz.authorization.bundle import documents
from ztag_extauthz.authorization.bundle.documents import DocumentError
from ztag_extauthz.authorization.bundle.settings import SigningSettings
from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.rego.builtins.jose.keys import Key, verification_keys
from ztag_extauthz.rego.builtins.jose.signatures import verify as is_signed
from ztag_extauthz.rego.builtins.jose.tokens import Token, parse_token, read_header
from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Number, Value

FILE: Final = ".signatures.json"
MIN_RSA_BITS: Final = 2048
MAX_SIGNATURE: Final = 4 * 1024 * 1024
"""Bytes of the file with the signature: it names `archive.MAX_ENTRIES` files at most."""
MAX_SIGNATURE_VALUES: Final = 100
MAX_HEADER: Final = 8192
_MARKS: Final = (b",", b"[", b"{")
_YAML_COST: Final = 4
_YAML_MARKS: Final = (*_MARKS, b":", b"-", b"\n")
_REMEDY: Final = "name a PEM file with one public key or certificate"

_DIGESTS: Final[Mapping[str, Callable[[bytes], Any]]] = {"SHA-256": sha256, "SHA-384": sha384, "SHA-512": sha512}
_STRUCTURED: Final = frozenset({"data.json", "data.yaml", "data.yml", ".manifest"})
"""Files whose meaning is signed, not their spelling."""
_LINES: Final = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029"})
_KINDS: Final = {"RS": rsa.RSAPublicKey, "PS": rsa.RSAPublicKey, "ES": ec.EllipticCurvePublicKey}


def read_keys(settings: SigningSettings, folder: Path) -> "Signatures":
    """Read the keys. Raises `SettingsError` with every mistake."""
    keys: dict[str, tuple[str, Key]] = {}
    mistakes: list[Mistake] = []
    for index, entry in enumerate(settings.keys):
        setting = f"signing.keys[{index}].file"
        try:
            keys[entry.id] = (entry.algorithm, _key(folder / entry.file, entry.algorithm))
        except OSError as error:
            mistakes.append(Mistake(entry.file, f"cannot be read: {error.strerror}", _REMEDY, setting))
        except (BuiltinError, ValueError) as error:
            mistakes.append(Mistake(entry.file, str(error), _REMEDY, setting))
    if mistakes:
        raise SettingsError(tuple(mistakes))
    return Signatures(keys, settings)


def _key(path: Path, algorithm: str) -> Key:
    text = path.read_text(encoding="ascii")
    if "-----BEGIN " not in text:
        raise ValueError("is no PEM file")
    (key,) = verification_keys(text)
    if not isinstance(key.material, _KINDS.get(algorithm[:2], ed25519.Ed25519PublicKey)):
        raise ValueError(f"holds a key of another kind than {algorithm} needs")  # noqa: TRY004 - a wrong file
    if isinstance(key.material, rsa.RSAPublicKey) and key.material.key_size < MIN_RSA_BITS:
        raise ValueError(f"holds an RSA key of {key.material.key_size} bits, fewer than {MIN_RSA_BITS}")
    return key


class Signatures:
    """Verifies bundles."""

    def __init__(self, keys: Mapping[str, tuple[str, Key]], settings: SigningSettings) -> None:
        """`keys`: algorithm and key by name."""
        self._keys = keys
        self._scope = settings.scope
        self._max_bytes = settings.max_data_bytes
        self._max_values = settings.max_data_values
        self._only = next(iter(keys)) if len(keys) == 1 else ""
        """The key of a signature that names none, as `opa sign` makes them."""

    def verify(self, files: Mapping[str, bytes]) -> None:
        """Raise `DocumentError` unless these files, by name, are all and only those that were signed."""
        if FILE not in files:
            raise DocumentError("is not signed")
        try:
            signed = self._signed(files[FILE])
        except (BuiltinError, ValueError, RecursionError) as error:
            raise DocumentError(f"has a {FILE} that cannot be used: {error}") from None
        found = {name: content for name, content in files.items() if name != FILE}
        if unnamed := found.keys() - signed.keys():
            raise DocumentError(f"holds {min(unnamed)!r}, which its signature does not name")
        if missing := signed.keys() - found.keys():
            raise DocumentError(f"lacks {min(missing)!r}, which its signature names")
        self._bound({name: content for name, content in found.items() if _is_structured(name)})
        for name in sorted(found, key=_is_structured):  # what costs most comes last
            _compare(name, found[name], *signed[name])

    def _bound(self, files: Mapping[str, bytes]) -> None:
        """Refuse data that would take long to read; nobody knows yet who wrote it."""
        size = sum(map(len, files.values()))
        if size > self._max_bytes:
            raise DocumentError(f"holds {size} bytes of data; signing.max_data_bytes allows {self._max_bytes}")
        values = sum(_values(name, content) for name, content in files.items())
        if values > self._max_values:
            raise DocumentError(
                f"holds about {values} values of data; signing.max_data_values allows {self._max_values}"
            )

    def _signed(self, content: bytes) -> dict[str, tuple[str, str]]:
        """Return algorithm and digest of each file by name."""
        if len(content) > MAX_SIGNATURE or _values(FILE, content) > MAX_SIGNATURE_VALUES:
            raise ValueError("it is larger than any signature")
        document: Any = json.loads(content)
        tokens = document.get("signatures") if isinstance(document, dict) else None
        if not isinstance(tokens, list) or len(tokens) != 1 or not isinstance(tokens[0], str):
            raise ValueError("it does not hold exactly one signature")
        if tokens[0].find(".") > MAX_HEADER:
            raise ValueError("its token has a header that is larger than any")
        claims = self._claims(parse_token(tokens[0]))
        if claims.get("scope", "") != self._scope:
            raise ValueError(f"it was signed for the scope {claims.get('scope', '')!r}, not {self._scope!r}")
        return _names(claims.get("files"))

    def _claims(self, token: Token) -> dict[str, Any]:
        header = read_header(token.decoded_header())
        claims: Any = json.loads(token.decoded_payload())
        if not isinstance(claims, dict) or not header.valid:
            raise ValueError("its token cannot be read")
        name = header.key_identifier or claims.get("keyid") or self._only
        if not isinstance(name, str) or name not in self._keys:
            raise ValueError(f"its key is {name!r}, and the settings have no such key")
        algorithm, key = self._keys[name]
        if header.algorithm != algorithm:
            raise ValueError(f"its algorithm is {header.algorithm}, but the key {name!r} is for {algorithm}")
        if not is_signed(key.material, algorithm, token.signed, token.decoded_signature()):
            raise ValueError(f"the key {name!r} did not make this signature")
        return claims


def _names(files: Any) -> dict[str, tuple[str, str]]:
    if not isinstance(files, Sequence) or isinstance(files, str):
        raise ValueError("it names no files")  # noqa: TRY004 - a wrong document
    found: dict[str, tuple[str, str]] = {}
    for file in files:
        parts = file if isinstance(file, dict) else {}
        name, algorithm, digest = (parts.get(part) for part in ("name", "algorithm", "hash"))
        if not isinstance(name, str) or not isinstance(digest, str) or not isinstance(algorithm, str):
            raise ValueError("it names a file without its digest")  # noqa: TRY004
        found[str(PurePosixPath(name.lstrip("/")))] = (algorithm, digest)
    return found


def _is_structured(name: str) -> bool:
    return PurePosixPath(name).name in _STRUCTURED


def _values(name: str, content: bytes) -> int:
    """Return how many values of JSON a document costs at most, without reading it."""
    if name.endswith((".yaml", ".yml")):
        return _YAML_COST * sum(map(content.count, _YAML_MARKS))
    return sum(map(content.count, _MARKS))


def _compare(name: str, content: bytes, algorithm: str, digest: str) -> None:
    if algorithm not in _DIGESTS:
        raise DocumentError(f"{name!r} is signed by its {algorithm}, which is not trusted ({', '.join(_DIGESTS)} are)")
    found = _DIGESTS[algorithm](_meaning(name, content)).hexdigest()
    if not hmac.compare_digest(found.encode(), digest.lower().encode()):
        raise DocumentError(f"holds another {name!r} than was signed")


def _meaning(name: str, content: bytes) -> bytes:
    """Return what is signed of a file: data as JSON without spaces, names in order, as Go writes it."""
    if not _is_structured(name):
        return content
    try:
        value = _of_yaml(documents.data(name, content)) if name.endswith((".yaml", ".yml")) else loads(content)
    except ValueError as error:
        raise DocumentError(f"holds {name!r}, which cannot be read: {error}") from None
    return dumps(value, escape_html=False).translate(_LINES).encode()


def _of_yaml(value: Any) -> Value:
    """Return what Go makes of YAML: a float without a fraction is written as an integer."""
    if isinstance(value, dict):
        return {name: _of_yaml(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_of_yaml(member) for member in value]
    return int(value) if isinstance(value, Number) and abs(value) < 1e21 and value == int(value) else value
