"""A recorded request: what a policy was asked about, so that another can be asked the same.

Rules:
1. no credential: headers named like one are masked, so is whatever looks like a token, wherever it stands; the identity
   that was found out takes their place
2. no query and no body, unless they are asked for
3. a line is JSON; with a key, all of it but the key's fingerprint is encrypted and authenticated (AES-256-GCM)
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ztag_extauthz.errors import Mistake, SettingsError, ZtagError
from ztag_extauthz.model import Allow, Decision, Failed, Identity, Outcome, Request
from ztag_extauthz.reporting.masking import MASK, NO_NAMES, clean, header, is_secret_claim, split
from ztag_extauthz.reporting.record import outcome_of, plain, rule_of

_ASSOCIATED = b"ztag.recorded.v1"
_NONCE = 12


class Recorded(Struct, frozen=True, omit_defaults=True):
    """One line."""

    id: str
    """The decision's."""
    time: float
    request: Mapping[str, Any]
    """The CheckRequest, in protobuf's JSON mapping."""
    identity: Identity
    outcome: Outcome
    """What the policy said; in a dry run, what it would have."""
    facts: Mapping[str, Any] = {}
    reason: str = ""
    rule: str = ""
    decided_by: str = ""
    policy_revision: str = ""


class Kept(Struct, frozen=True):
    """What is kept of a request beside what always is."""

    query: bool = False
    body: bool = False
    credentials: AbstractSet[str] = NO_NAMES
    """Headers that are not, whatever their name looks like; in lower case."""


def make(request: Request, decision: Decision, kept: Kept) -> Recorded | None:
    """Return what is kept of a request; None where nobody was known, so that no policy was asked."""
    if decision.identity is None:
        return None
    verdict = decision.verdict
    said = verdict.shadowed or verdict if isinstance(verdict, Allow) else verdict
    return Recorded(
        decision.id,
        decision.time,
        {"attributes": _attributes(request.attributes(), kept)},
        msgspec.structs.replace(decision.identity, claims=_clean(decision.identity.claims)),
        outcome_of(verdict) if isinstance(said, Allow | Failed) else Outcome.DENY,
        dict(decision.facts),
        "" if isinstance(said, Allow) else said.reason,
        rule_of(verdict),
        decision.decided_by,
        verdict.policy_revision,
    )


def _attributes(attributes: Mapping[str, Any], keep: Kept) -> dict[str, Any]:
    kept = {name: _clean(value) for name, value in attributes.items() if name not in {"request", "contextExtensions"}}
    for metadata in ("metadataContext", "routeMetadataContext"):
        kept.get(metadata, {}).pop("typedFilterMetadata", None)  # messages of any type, which nobody here can read
    if "contextExtensions" in attributes:
        kept["contextExtensions"] = {name: header(name.lower(), value) for name, value in _items(attributes)}
    if "request" in attributes:
        kept["request"] = _asked(attributes["request"], keep)
    return kept


def _items(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from attributes["contextExtensions"].items()


def _asked(request: Mapping[str, Any], keep: Kept) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if time := request.get("time"):
        moment = datetime.fromtimestamp(time.get("seconds", 0), UTC).replace(microsecond=time.get("nanos", 0) // 1000)
        kept["time"] = moment.isoformat().replace("+00:00", "Z")
    if "http" in request:
        kept["http"] = _http(request["http"], keep)
    return kept


def _http(http: Mapping[str, Any], keep: Kept) -> dict[str, Any]:
    left_out = {"headers", "headerMap", "path", *(() if keep.query else ("query", "fragment"))}
    left_out |= set() if keep.body else {"body", "rawBody"}
    kept = {name: _clean(value) for name, value in http.items() if name not in left_out}

    def field(name: str, value: str) -> str:
        return _path(value, query=keep.query) if name == ":path" else header(name, value, keep.credentials)

    if "path" in http:
        kept["path"] = _path(http["path"], query=keep.query)
    if "headers" in http:
        kept["headers"] = {name: field(name.lower(), value) for name, value in http["headers"].items()}
    if "headerMap" in http:
        kept["headerMap"] = {"headers": [_raw(each, field) for each in http["headerMap"].get("headers", ())]}
    return kept


def _raw(each: Mapping[str, Any], field: Any) -> dict[str, str]:
    """Return a field of `header_map`, its bytes as text."""
    name = each.get("key", "")
    value = each.get("value") or b64decode(each.get("rawValue", "")).decode(errors="replace")
    return {"key": name, "value": field(name.lower(), value)}


def _path(path: str, *, query: bool) -> str:
    return clean(path) if query else clean(split(path)[0])


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: MASK if is_secret_claim(name) else _clean(item) for name, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple) else value


class Key:
    """A key of 32 bytes that recorded requests are encrypted with."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - heavy

        self._cipher = AESGCM(secret)
        self.fingerprint = sha256(_ASSOCIATED + secret).hexdigest()[:8]

    @classmethod
    def read(cls, path: Path, setting: str) -> "Key":
        """Read a key; raises `SettingsError`."""
        try:
            secret = b64decode(path.read_bytes().strip(), validate=True)
        except OSError as error:
            raise SettingsError((Mistake(str(path), f"cannot be read: {error.strerror}", "", setting),)) from error
        except ValueError:
            secret = b""
        if len(secret) != 32:
            remedy = "openssl rand -base64 32 makes one"
            raise SettingsError((Mistake(str(path), "is no key of 32 bytes in base64", remedy, setting),))
        return cls(secret)

    def seal(self, line: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        sealed = b64encode(nonce + self._cipher.encrypt(nonce, line, _ASSOCIATED)).decode()
        return json.dumps({"key": self.fingerprint, "sealed": sealed}).encode()

    def open(self, sealed: str) -> bytes:
        """Return a sealed line; raises `ValueError` where it was changed."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - heavy

        box = b64decode(sealed, validate=True)
        try:
            return bytes(self._cipher.decrypt(box[:_NONCE], box[_NONCE:], _ASSOCIATED))
        except InvalidTag:
            raise ValueError("was changed, or is of another key") from None


def to_line(recorded: Recorded, key: Key | None) -> bytes:
    line = msgspec.json.encode(recorded, enc_hook=plain, order="deterministic")
    return (line if key is None else key.seal(line)) + b"\n"


def read(lines: Sequence[str], key: Key | None) -> Iterator[Recorded]:
    """Yield what lines hold. Raises `ZtagError` with the number of one that cannot be read, or has to be sealed."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield msgspec.json.decode(_opened(line, key), type=Recorded)
            except (ValueError, msgspec.MsgspecError, RecursionError) as error:
                raise ZtagError(f"line {number}: no recorded request: {error}") from None


def _opened(line: str, key: Key | None) -> bytes:
    document = json.loads(line)
    if isinstance(document, dict) and isinstance(document.get("time"), str):
        raise ValueError("this is an audit log; give a recording (kind: recording)")  # noqa: TRY004 - as any line
    if not isinstance(document, dict) or "sealed" not in document:
        if key is not None:
            raise ValueError("is not encrypted, so anybody may have written it: read it without --key-file")
        return line.encode()
    if key is None:
        raise ValueError(f"is encrypted with the key {document.get('key')}: name its file with --key-file")
    if document.get("key") != key.fingerprint:
        raise ValueError(f"is encrypted with the key {document.get('key')}, not {key.fingerprint}")
    return key.open(str(document["sealed"]))
