"""Policies, the bundles that they come in, the documents that they are asked about, and what they answer."""

import gzip
import io
import json
import re
import tarfile
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from loadtest.corpus import check_request
from loadtest.fuzz.gateway import ALGORITHM, KEY
from loadtest.fuzz.target import Target, forbid
from loadtest.workload import ROOT
from ztag_extauthz.authorization.bundle.files import load
from ztag_extauthz.authorization.bundle.settings import SigningSettings
from ztag_extauthz.authorization.bundle.signature import FILE, _meaning, read_keys
from ztag_extauthz.authorization.input import opa_input
from ztag_extauthz.authorization.input.parse_error import ParseError
from ztag_extauthz.authorization.opa_result import interpret
from ztag_extauthz.envoy import Encoder, decode
from ztag_extauthz.errors import EvaluationError, PolicyError
from ztag_extauthz.model import Allow, Context, Decision, Identity, Stage, Timings
from ztag_extauthz.rego import errors as rego
from ztag_extauthz.rego.documents import loads
from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.settings import ResponseSettings

SECONDS: Final = 0.2
"""What an evaluation has."""
_HEADER: Final = re.compile(r"^package\s+([\w.]+)", re.MULTILINE)
_RULE: Final = re.compile(r"^(?:default )?([a-z_]\w*)(?= |\[|\.)", re.MULTILINE)
_WORDS: Final = {"package", "import", "default"}
_ANN: Final = Identity("ann", "https://issuer.example", "jwt", claims={"roles": ["editor"], "regions": ["eu"]})


def policies(_: Path) -> Target:
    """Rego that somebody wrote in a hurry: compiled, and each rule evaluated for a limited time."""
    paths = [*sorted((ROOT / "policy").glob("*/*.rego")), *sorted((ROOT / "loadtest/conformance").glob("*/*.rego"))]
    document = {"attributes": {"request": {"http": {"method": "GET"}}}, "parsed_path": ["orders"], "user": "ann"}

    def take(given: bytes) -> None:
        text = given.decode(errors="replace")
        package = _HEADER.search(text)
        rules = dict.fromkeys(_RULE.findall(text)) if package else {}
        points = [f"{package[1].replace('.', '/')}/{rule}" for rule in rules if package and rule not in _WORDS]
        policy = compile_policy({"p.rego": text}, {}, entry_points=points)
        for point in points:
            try:
                policy.decision(point).evaluate(document, deadline=time.monotonic() + SECONDS)
            except rego.EvaluationError:
                continue

    texts = [path.read_bytes() for path in paths]
    words = (
        b" with input as ",
        b"some x in ",
        b"every x in y {",
        b"| x := ",
        b" if {\n",
        b"numbers.range(1, 99999999)",
        b":= x",
        b"[_]",
        b"not ",
        b"contains ",
        b"regex.match(`(a+)+$`, ",
    )
    return Target(take, texts, (rego.PolicyError,), words)


def bundles(folder: Path) -> Target:
    """Bundles: the archive, and what is in it."""

    def take(given: bytes) -> None:
        load([], folder, fetched={"b.tar.gz": _packed(given)})

    files = {".manifest": b'{"revision": "1", "roots": ["a", "p"]}', "p/p.rego": b"package p\nresult := data.a.b\n"}
    tar = _tar(files | {"a/data.json": b'{"b": [1, {"c": null}]}', "a/x/data.yaml": b"c: &x 1\nd: [*x]\n"})
    return Target(
        take,
        [tar, _gzip(tar)],
        (PolicyError,),
        (b"../", b"data.json", b"data.yaml", b"&a [*a]", b"roots", b"L", b"0000000"),
    )


def signed_bundles(folder: Path) -> Target:
    """Signed bundles: none counts that means anything else than what was signed."""
    (folder / "k.pem").write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    signing = SigningSettings.model_validate({"keys": [{"id": "k", "file": "k.pem", "algorithm": ALGORITHM}]})
    verify = read_keys(signing, folder).verify
    files = {".manifest": b'{"revision": "1"}', "p.rego": b"package p\nresult := true\n", "data.json": b'{"a": 1}'}
    digests = [
        {"name": n, "hash": sha256(_meaning(n, text)).hexdigest(), "algorithm": "SHA-256"} for n, text in files.items()
    ]
    token = jwt.encode({"files": digests}, KEY, ALGORITHM, headers={"kid": "k"})
    tar = _tar(files | {FILE: json.dumps({"signatures": [token]}).encode()})
    good = load([], folder, verify=verify, fetched={"b.tar.gz": _gzip(tar)})

    def take(given: bytes) -> None:
        found = load([], folder, verify=verify, fetched={"b.tar.gz": _packed(given)})
        forbid(dict(found.modules) != dict(good.modules), "another policy than was signed")
        forbid(found.data != good.data, "other data than was signed")

    return Target(take, [tar], (PolicyError,), (b"p.rego", b"data.json", b".signatures.json", b"./", b"/", b"5"))


def documents(_: Path) -> Target:
    """What policies see of paths, queries and bodies: `CONTENT-TYPE LF PATH LF BODY`."""

    def take(given: bytes) -> None:
        kind, path, body = [*given.split(b"\n", 2), b"", b""][:3]
        message = CheckRequest()
        http = message.attributes.request.http
        http.method, http.path = "POST", path.decode(errors="replace")
        http.headers.update({"content-type": kind.decode(errors="replace"), "content-length": str(len(body))})
        http.raw_body = body
        request = decode(message.SerializeToString())
        try:
            json.dumps(opa_input.of_identity(_ANN), default=str)
            opa_input.build(Context(request, _ANN))
        except ParseError:
            return

    corpus = [
        b'application/json\n/a/b?c=d&c=%20\n{"a": [1, 2.5, {"b": null}], "c": "\\u00e4"}',
        b"application/x-www-form-urlencoded\n/\na=b&c=%20d;e",
        (
            b"multipart/form-data; boundary=x\n/f\n"
            b"--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n{}\r\n--x--"
        ),
        b"application/grpc\n/pkg.Service/Method\n\0\0\0\0\x02\x08\x07",
    ]
    return Target(
        take, corpus, words=(b"boundary=", b"%zz", b"\r\n--x", b"1e99999", b"9" * 400, b"utf-8''", b"&a=1" * 10_000)
    )


def answers(_: Path) -> Target:
    """What a policy answers: an allow only where it says so, and nothing in it that breaks out of its field."""
    request = decode(check_request("", "/orders"))
    encoder = Encoder(ResponseSettings(owned_headers=("x-user",)))
    corpus = [json.dumps(one).encode() for one in _ANSWERS]

    def take(given: bytes) -> None:
        try:
            value = loads(given)
        except ValueError:
            return
        verdict = interpret(value)
        encoded = encoder.encode(
            request, Decision("0" * 36, 0.0, verdict, Stage.AUTHORIZATION, "rego", None, {}, Timings())
        )
        response = CheckResponse.FromString(encoded)
        yes = value is True or (isinstance(value, dict) and value.get("allowed") is True)
        forbid(isinstance(verdict, Allow) != yes or (response.status.code == 0) != yes, "an allow that is none")
        for one in (*response.ok_response.headers, *response.denied_response.headers):
            text = one.header.key + (one.header.value or one.header.raw_value.decode())
            forbid(re.search(r"[\0\r\n]", text), "a header that ends its line")

    return Target(
        take,
        corpus,
        (EvaluationError,),
        (b"\\r\\n", b"\\u0000", b'"allowed":', b'"headers":', b'"http_status":', b":authority"),
    )


_ANSWERS: Final[Sequence[Any]] = (
    True,
    {"allowed": False, "http_status": 403, "headers": {"x-a": ["b", "c"]}, "body": "no"},
    {
        "allowed": True,
        "headers": {"x-user": "ann"},
        "request_headers_to_remove": ["x-b"],
        "dynamic_metadata": {"a": [1]},
    },
    {"allowed": True, "response_headers_to_add": [{"a": "b"}], "query_parameters_to_set": {"a": "b"}},
)


def _tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _packed(given: bytes) -> bytes:
    """Return what a server would send: an archive whose headers' sums are right, whatever else is wrong in it."""
    if given.startswith(b"\x1f\x8b"):
        return given
    tar = bytearray(given)
    for at in range(0, len(tar) - 511, 512):
        if tar[at + 257 : at + 262] == b"ustar":
            tar[at + 148 : at + 156] = b" " * 8
            tar[at + 148 : at + 156] = b"%06o\0 " % sum(tar[at : at + 512])
    return _gzip(bytes(tar))


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, 0, mtime=0)


TARGETS: Final[Sequence[Any]] = (policies, bundles, signed_bundles, documents, answers)
