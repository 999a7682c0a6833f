"""Requests as Envoy sends them, and the credentials in them."""

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jwt
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from loadtest.corpus import AUDIENCE, ISSUER, check_request
from loadtest.fuzz.gateway import ALGORITHM, KEY, PROXY, WORKLOAD, Gateway, good_claims, is_allowed, judge, jwt_settings
from loadtest.fuzz.target import Target, forbid
from ztag_extauthz.authentication import xfcc
from ztag_extauthz.authentication.xfcc import XfccError

PATHS: Final = ("/orders", "/orders/1?page=2", "/orders/a/b", "/admin", "/health", "/orders/../admin", "/orders%2fx")


def check(folder: Path) -> Target:
    """The bytes of a CheckRequest, as the engines hand them over."""
    gateway = Gateway(folder, jwt_settings())
    subjects = {gateway.token(name): name for name in ("ann", "bob")}
    corpus = [_posted(token) for token in subjects]
    corpus += [_listed(check_request(token, path)) for token in subjects for path in PATHS]
    corpus += [check_request(token, path, method) for token in subjects for path in PATHS for method in ("GET", "PUT")]

    def take(message: bytes) -> None:
        judge(message, gateway.ask(message), subjects)

    return Target(take, corpus, words=(b"authorization", b":path", b":method", b"x-user", b"content-length"))


def headers(folder: Path) -> Target:
    """The fields of a request, written as HTTP/1.1 writes them, with its body."""
    gateway = Gateway(folder, jwt_settings())
    subjects = {gateway.token(name): name for name in ("ann", "bob")}
    texts = [
        f"{line}\nauthorization: Bearer {token}\ncontent-type: {kind}\nx-user: root\n\n{body}"
        for token in subjects
        for line in ("GET /orders/1?a=b", "POST /orders", "GET /admin", "GET /health")
        for kind, body in _BODIES
    ]

    def take(text: bytes) -> None:
        message = _of_text(text)
        judge(message, gateway.ask(message), subjects)

    return Target(
        take, [text.encode() for text in texts], words=(b"\nauthorization: Bearer ", b"\nx-user: root", b"%2e%2e")
    )


_BODIES: Final = (
    ("application/json", '{"amount": 7, "items": [{"id": 1}]}'),
    ("application/json", '{"amount": 7000}'),
    ("application/x-www-form-urlencoded", "amount=7&b=%20c"),
    ("multipart/form-data; boundary=x", '--x\r\ncontent-disposition: form-data; name="amount"\r\n\r\n7\r\n--x--\r\n'),
    ("application/grpc", "\0\0\0\0\x02\x08\x07"),
)


def tokens(folder: Path) -> Target:
    """The letters of a signed token: none other than what was signed lets anybody in."""
    gateway = Gateway(folder, jwt_settings())
    subjects = {gateway.token(name): name for name in ("ann", "bob", "eve")}

    def take(token: bytes) -> None:
        message = check_request(token.decode(errors="replace"), "/orders")
        judge(message, gateway.ask(message), subjects)

    unsigned = jwt.encode(good_claims("ann"), "", "none").encode()
    return Target(take, [*(token.encode() for token in subjects), unsigned], words=(b".", b"=", b"eyJhbGciOiJub25lIn0"))


def claims(folder: Path) -> Target:
    """What a token says, signed by the issuer's own key, header and claims."""
    gateway = Gateway(folder, jwt_settings())
    header = {"alg": ALGORITHM, "kid": "fuzz", "typ": "at+jwt"}
    corpus = [
        _parts(header, good_claims("ann") | more) for more in ({}, {"aud": [AUDIENCE, "b"]}, {"nbf": 1, "roles": []})
    ]

    def take(given: bytes) -> None:
        signed = _signed(given)
        if is_allowed(gateway.ask(check_request(signed, "/orders"))):
            said, now = json.loads(given.partition(b"\n")[2]), time.time()
            audience = said["aud"] if isinstance(said["aud"], list) else [said["aud"]]
            forbid(said["iss"] != ISSUER or AUDIENCE not in audience, "allowed with another issuer or audience")
            forbid(not said["exp"] > now - 120, "allowed after its end")
            forbid(said.get("nbf", 0) > now + 120, "allowed before its beginning")
            kind = json.loads(given.partition(b"\n")[0]).get("typ", "JWT")
            forbid(kind.lower().removeprefix("application/") not in {"at+jwt", "jwt"}, "allowed with another type")

    return Target(take, corpus, words=(b'"exp":', b'"crit":["x"],', b'"aud":', b'"nbf":', b'"sub":""', b'"b64":false'))


def proofs(folder: Path) -> Target:
    """Proofs of possession (DPoP), signed by the client's own key."""
    gateway = Gateway(folder, jwt_settings(dpop={"algorithms": [ALGORITHM]}))
    token = gateway.bound("ann")
    ath = jwt.utils.base64url_encode(sha256(token.encode()).digest()).decode()
    header = {"alg": ALGORITHM, "typ": "dpop+jwt", "jwk": gateway.public}
    said = {"jti": "JTI", "htm": "GET", "htu": "https://shop.example/orders", "iat": "IAT", "ath": ath}
    shown: set[str] = set()

    def take(given: bytes) -> None:
        fresh = _fresh(given)
        proof = _signed(fresh)
        request = CheckRequest.FromString(check_request("", "/orders"))
        request.attributes.request.http.headers.update({"authorization": f"DPoP {token}", "dpop": proof})
        if is_allowed(gateway.ask(request.SerializeToString())):
            claims = json.loads(fresh.partition(b"\n")[2])
            forbid(claims["htm"] != "GET" or claims["ath"] != ath, "allowed with a proof for another request")
            forbid(
                "/orders" not in claims["htu"] or "shop.example" not in claims["htu"].lower(), "… for another address"
            )
            forbid(abs(claims["iat"] - time.time()) > 120, "allowed with an old proof")
            forbid(claims["jti"] in shown, "allowed with a proof that was shown")
            shown.add(claims["jti"])

    return Target(take, [_parts(header, said)], words=(b'"jwk":{}', b'"htu":"', b'"jti":"', b'"ath":', b'"d":"x",'))


_NAMES: Final = itertools.count()


def _fresh(given: bytes) -> bytes:
    """Return the input with the time of now and a name of its own: what is left of a good proof is to be good."""
    return given.replace(b'"IAT"', str(int(time.time())).encode()).replace(b"JTI", str(next(_NAMES)).encode())


def clients(folder: Path) -> Target:
    """The header by which proxies tell who their client was (XFCC), and who is believed for it."""
    gateway = Gateway(folder, {"kind": "mesh", "trust_domains": ["mesh.example"], "forwarding": {"hops": [PROXY]}})
    base = CheckRequest.FromString(check_request("", "/orders"))
    base.attributes.source.principal = PROXY
    del base.attributes.request.http.headers["authorization"]
    corpus = [
        f'By={PROXY};Hash=0a;Subject="CN=x,O=\\"y\\"";URI={WORKLOAD};DNS=a.example'.encode(),
        f"By={PROXY};URI=spiffe://mesh.example/ns/other/sa/a,By={PROXY};URI={PROXY}".encode(),
        f"By={PROXY};URI={WORKLOAD},By={PROXY};Hash=ff;URI={PROXY};Chain=%2B".encode(),
    ]

    def take(header: bytes) -> None:
        text = header.decode(errors="replace")
        _read(text)
        request = CheckRequest.FromString(base.SerializeToString())
        request.attributes.request.http.headers["x-forwarded-client-cert"] = text
        if is_allowed(gateway.ask(request.SerializeToString())):
            plain = "".join(letter for letter in text.lower() if letter not in '"\\' and not letter.isspace())
            forbid(f"uri={WORKLOAD}" not in plain, "another workload")

    return Target(take, corpus, words=(b'"', b'\\"', b";URI=", b",By=", b";Cert=", b"URI=" + WORKLOAD.encode()))


def _read(text: str) -> None:
    try:
        for element in xfcc.elements(text):
            for values in xfcc.fields(element).values():
                for value in values:
                    xfcc.decoded(value)
    except XfccError:
        pass


def _parts(header: Mapping[str, Any], said: Mapping[str, Any]) -> bytes:
    return json.dumps(header).encode() + b"\n" + json.dumps(said).encode()


def _signed(given: bytes) -> str:
    """Return the token of a header and claims, whatever they are."""
    header, _, said = given.partition(b"\n")
    first = f"{_base64(header)}.{_base64(said)}"
    return f"{first}.{_base64(KEY.sign(first.encode()))}"


def _base64(part: bytes) -> str:
    return jwt.utils.base64url_encode(part).decode()


def _posted(token: str) -> bytes:
    request = CheckRequest.FromString(check_request(token, "/orders", "POST"))
    request.attributes.request.http.headers.update({"content-type": "application/json", "content-length": "13"})
    request.attributes.request.http.body = '{"amount": 7}'
    return bytes(request.SerializeToString())


def _listed(message: bytes) -> bytes:
    """Return a request whose headers are a list, as `encode_raw_headers` sends them."""
    request = CheckRequest.FromString(message)
    http = request.attributes.request.http
    for name, value in http.headers.items():
        http.header_map.headers.add(key=name, raw_value=value.encode())
    http.headers.clear()
    return bytes(request.SerializeToString())


def _of_text(text: bytes) -> bytes:
    """Return the CheckRequest of a request's text; a field that comes twice makes a list of them all."""
    head, _, body = text.partition(b"\n\n")
    line, *fields = head.split(b"\n")
    method, _, path = line.partition(b" ")
    request = CheckRequest.FromString(check_request("", "/"))
    http = request.attributes.request.http
    http.method, http.path = method.decode(errors="replace"), path.decode(errors="replace")
    pairs = [_field(field) for field in fields]
    pairs += [
        (":method", http.method),
        (":path", http.path),
        (":authority", http.host),
        ("content-length", str(len(body))),
    ]
    http.headers.clear()
    if len({name for name, _ in pairs}) == len(pairs):
        http.headers.update(pairs)
    else:
        for name, value in pairs:
            http.header_map.headers.add(key=name, raw_value=value.encode())
    http.raw_body = body
    return bytes(request.SerializeToString())


def _field(text: bytes) -> tuple[str, str]:
    name, _, value = text.partition(b":")
    return name.decode(errors="replace").lower(), value.strip().decode(errors="replace")


TARGETS: Final[Sequence[Any]] = (check, headers, tokens, claims, proofs, clients)
