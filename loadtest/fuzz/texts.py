"""What is read beside requests: fields, events, recordings, access logs, settings, keys, answers of policies."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import jwt
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage

from loadtest.fuzz.gateway import ALGORITHM, KEY
from loadtest.fuzz.target import Target, forbid
from loadtest.stages import run
from loadtest.workload import ROOT
from ztag_extauthz import structured
from ztag_extauthz.authentication.jose.key_set import KeySet, KeySetError
from ztag_extauthz.cli import recorded
from ztag_extauthz.component import Resources
from ztag_extauthz.envoy import access_log
from ztag_extauthz.errors import MessageError, SettingsError, ZtagError
from ztag_extauthz.meter import Meter
from ztag_extauthz.reporting.recorded import read as read_recording
from ztag_extauthz.revocation.receiver import Refusal
from ztag_extauthz.revocation.settings import RevocationSettings
from ztag_extauthz.settings import load
from ztag_extauthz.structured import StructuredFieldError

_IDP, _US = "https://idp.example", "https://ztag.example/events"
_EVENT = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"


def fields(_: Path) -> Target:
    """Structured fields (RFC 9651): what is read and written again is the same."""
    corpus = [
        b'a;b=1, ("x" ?0 :aGk=:);c, 1.5',
        b'a=1, b;x="y", c=(1 2), d=@1659578233',
        b'%"f%c3%bc";q=0.5',
        b"-12.345",
        b":aGVsbG8=:",
    ]
    ways: Sequence[tuple[Callable[[str], Any], Callable[[Any], str]]] = (
        (structured.parse_item, structured.write_item),
        (structured.parse_list, structured.write_list),
        (structured.parse_dictionary, structured.write_dictionary),
    )

    def take(given: bytes) -> None:
        text = given.decode("latin-1")
        for parse, write in ways:
            try:
                value = parse(text)
            except StructuredFieldError:
                continue
            forbid(value and parse(write(value)) != value, "what is written is read as something else")

    return Target(take, corpus, words=(b";a=?1", b', %"', b":=:", b"@-1", b"999999999999999"))


def events(folder: Path) -> Target:
    """Security event tokens, signed by their transmitter, header and claims."""
    public = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key()))
    (folder / "idp.json").write_text(json.dumps({"keys": [{**public, "kid": "k", "alg": ALGORITHM, "use": "sig"}]}))
    transmitter = {"issuer": _IDP, "audiences": [_US], "algorithms": [ALGORITHM], "jwks": {"file": "idp.json"}}
    redis = {"url": "redis://127.0.0.1:1"}
    settings = RevocationSettings.model_validate({"redis": redis, "secret": "s" * 32, "transmitters": [transmitter]})
    receiver = settings.receiver(Resources(folder, time.time, Meter()))
    subject = {"format": "iss_sub", "iss": _IDP, "sub": "ann"}
    said = {"iss": _IDP, "aud": _US, "iat": int(time.time()), "jti": "1", "sub_id": subject, "events": {_EVENT: {}}}
    header = {"alg": ALGORITHM, "kid": "k", "typ": "secevent+jwt"}

    def take(given: bytes) -> None:
        first = b".".join(jwt.utils.base64url_encode(part) for part in given.partition(b"\n")[::2])
        token = first + b"." + jwt.utils.base64url_encode(KEY.sign(first))
        found = run(receiver.receive(token.decode(), ""))
        if not isinstance(found, Refusal) and found:
            claims = json.loads(given.partition(b"\n")[2])
            forbid(claims["iss"] != _IDP or _US not in claims["aud"], "an event of another issuer, or for another")
            forbid("exp" in claims or "sub" in claims, "an access token taken for an event")
            forbid(any(entry.issuer != _IDP for entry in found), "an event about another issuer's credentials")

    corpus = [
        f"{json.dumps(header)}\n{json.dumps(said | more)}".encode() for more in ({}, {"aud": [_US, "b"]}, {"txn": "8"})
    ]
    return Target(
        take, corpus, words=(b'"exp":1,', b'"sub":"a",', b'"format":"email"', b'"identifiers":[]', b'"complex"')
    )


def recordings(_: Path) -> Target:
    """Recorded requests, a line each, and what policies are asked about them."""

    def take(given: bytes) -> None:
        for each in read_recording(given.decode(errors="surrogateescape").splitlines(), None):
            recorded.context(each)

    corpus = (ROOT / "policy/envoy/requests.jsonl").read_bytes().splitlines()
    return Target(take, corpus, (ZtagError,), (b'"sealed":"', b'"request":{}', b'"headers":', b'"rawBody":"'))


def endings(_: Path) -> Target:
    """What Envoy's access log tells of how requests ended."""
    message = StreamAccessLogsMessage()
    entry = message.http_logs.log_entry.add()
    noted = entry.common_properties.metadata.filter_metadata["envoy.filters.http.ext_authz"]
    noted.update({"ztag.risk": "1:2:3", "other": 5, "nested": {"a": [1, None, True]}})
    entry.response.response_code.value = 401

    def take(given: bytes) -> None:
        for ended in access_log.endings(given):
            forbid(not ended.kind and not ended.note, "an ending of nothing")

    return Target(take, [message.SerializeToString()], (MessageError,), (b"ztag.", b"ztag.risk"))


def settings(folder: Path) -> Target:
    """Configuration files."""
    file = folder / "ztag.yaml"

    def take(given: bytes) -> None:
        file.write_bytes(given)
        load(file, {})

    corpus = [path.read_bytes() for path in (ROOT / "envoy/ztag.yaml", ROOT / "policy/layers/ztag.yaml")]
    return Target(
        take, corpus, (SettingsError,), (b"\n- ", b"kind: ", b"&a ", b"*a", b"<<: ", b"!!python/name:os.system ", b"? ")
    )


def key_sets(_: Path) -> Target:
    """Key sets (JWKS) as issuers publish them."""
    key = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key()))
    elliptic = {"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"}
    elliptic["y"] = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
    rsa = {"kty": "RSA", "e": "AQAB", "n": "u" * 342}
    corpus = [json.dumps({"keys": [key, {**elliptic, "kid": "e"}, {**rsa, "kid": "r", "alg": "RS256"}]}).encode()]

    def take(given: bytes) -> None:
        KeySet(given, ("RS256", "ES256", ALGORITHM))

    return Target(take, corpus, (KeySetError,), (b'"kty":"oct"', b'"crv":"', b'"d":"', b'"use":"enc"', b'"n":""'))


TARGETS: Final[Sequence[Any]] = (fields, events, recordings, endings, settings, key_sets)
