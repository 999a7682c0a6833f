import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from tests.authentication.parts import private_key
from tests.authorization.bundle.parts import bundle, packed, signature, signed, versioned
from ztag_extauthz.authorization.bundle.documents import DocumentError
from ztag_extauthz.authorization.bundle.files import load
from ztag_extauthz.authorization.bundle.settings import SigningKeySettings, SigningSettings
from ztag_extauthz.authorization.bundle.signature import FILE, Signatures, read_keys
from ztag_extauthz.errors import PolicyError, SettingsError

MADE_BY_OPA = Path(__file__).with_name("signed")
"""Made by opa 1.22.2: `opa build --signing-key` and `opa sign`, with numbers and characters that are easily misread."""


def keys(*entries: tuple[str, str, str], scope: str = "", folder: Path = MADE_BY_OPA) -> Signatures:
    listed = tuple(SigningKeySettings(id=name, algorithm=kind, file=file) for name, kind, file in entries)  # type: ignore[arg-type]
    return read_keys(SigningSettings(keys=listed, scope=scope), folder)


def public_key(path: Path, algorithm: str, name: str = "k1") -> None:
    key = private_key(algorithm, name).public_key()
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize(
    ("file", "key", "scope"),
    [
        ("build-rs256.tar.gz", ("default", "RS256", "rsa.pem"), ""),
        ("build-es256-scope.tar.gz", ("any", "ES256", "ec.pem"), "write"),
        ("sign-es256.tar.gz", ("any", "ES256", "ec.pem"), ""),
    ],
)
def test_what_opa_signs_is_verified(file: str, key: tuple[str, str, str], scope: str) -> None:
    found = load((file,), MADE_BY_OPA, verify=keys(key, scope=scope).verify)
    assert found.data["x"]["data1"]["a"] == 1


@pytest.fixture(params=["RS256", "PS384", "ES512", "EdDSA"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_each_algorithm(tmp_path: Path, algorithm: str) -> None:
    public_key(tmp_path / "key.pem", algorithm)
    trusted = keys(("k1", algorithm, "key.pem"), folder=tmp_path)
    files = versioned("1")
    trusted.verify(_bytes(signed(files, algorithm=algorithm)))
    with pytest.raises(DocumentError, match="the key 'k1' did not make this signature"):
        trusted.verify(_bytes({**files, FILE: _tampered(signature(files, algorithm=algorithm))}))


def _bytes(files: Mapping[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in files.items()}


def _tampered(text: str) -> str:
    """Exchange the claims, and leave the signature."""
    (token,) = json.loads(text)["signatures"]
    header, _, proof = token.split(".")
    claims = jwt.utils.base64url_encode(b'{"files": []}').decode()
    return json.dumps({"signatures": [f"{header}.{claims}.{proof}"]})


@pytest.mark.parametrize(
    ("limits", "changed", "why"),
    [
        (
            {},
            {"data.json": '{"a":[' + "[]," * 250_000 + "1]}"},
            "values of data; signing.max_data_values allows 250000",
        ),
        ({}, {"a/data.yaml": "a: [" + "[]," * 40_000 + "1]"}, "values of data; signing.max_data_values allows 250000"),
        ({}, {".manifest": '{"a":[' + "[]," * 250_000 + "1]}"}, "signing.max_data_values allows 250000"),
        ({"max_data_bytes": 1024}, {"data.json": '{"a": "' + "x" * 1024 + '"}'}, "signing.max_data_bytes allows 1024"),
        ({"max_data_values": 100}, {"data.json": '{"a": [' + "1," * 100 + "1]}"}, "signing.max_data_values allows 100"),
        ({}, {FILE: '{"signatures": ["a"], "b": [' + "[]," * 100 + "1]}"}, "larger than any signature"),
        ({}, {FILE: '{"signatures": ["' + "x" * (4 << 20) + '"]}'}, "larger than any signature"),
        ({}, {FILE: '{"signatures": ["' + "x" * 10_000 + '.e30.x"]}'}, "header that is larger than any"),
    ],
)
def test_never_is_more_read_than_allowed_before_it_is_known_who_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], changed: dict[str, str], why: str
) -> None:
    """A genuine signature, reused by whoever serves the bundle for files of theirs."""
    public_key(tmp_path / "key.pem", "ES256")
    settings = SigningSettings.model_validate(
        {"keys": [{"id": "k1", "algorithm": "ES256", "file": "key.pem"}], **limits}
    )
    trusted = read_keys(settings, tmp_path)
    files = _bytes(signed({**FILES, "a/data.yaml": "b: 1"}))
    trusted.verify(files)

    def read(*_: object) -> bytes:
        raise AssertionError("it was read")

    monkeypatch.setattr("ztag_extauthz.authorization.bundle.signature._meaning", read)
    with pytest.raises(DocumentError, match=why):
        trusted.verify(files | _bytes(changed))


def test_what_is_cheap_to_compare_is_compared_first(trusted: Signatures, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _bytes({"data.json": "{}", **signed(FILES, **OURS)})
    monkeypatch.setattr("ztag_extauthz.authorization.bundle.signature.loads", None)
    with pytest.raises(DocumentError, match=r"holds another 'authz\.rego'"):
        trusted.verify({**files, "authz.rego": b"package other"})


@pytest.fixture
def trusted(tmp_path: Path) -> Signatures:
    public_key(tmp_path / "key.pem", "ES256")
    return keys(("k1", "ES256", "key.pem"), scope="write", folder=tmp_path)


@pytest.mark.parametrize("name", ["data.json", "/data.json", ".manifest", "./.manifest", "authz.rego", FILE])
def test_never_beside_what_was_signed_stands_what_was_not(tmp_path: Path, trusted: Signatures, name: str) -> None:
    files = signed(FILES, **OURS)
    unsigned = json.dumps({"admins": {"eve": True}, "revision": "unsigned"})
    for entries in ([(name, unsigned), *files.items()], [*files.items(), (name, unsigned)]):
        with pytest.raises(PolicyError, match="twice"):
            load((), tmp_path, verify=trusted.verify, fetched={"b.tar.gz": packed(entries)})


FILES = versioned("1")
OURS: dict[str, Any] = {"scope": "write"}


def _unsigned_algorithm() -> str:
    token = jwt.encode({"files": [], **OURS}, "", "none", headers={"kid": "k1"})
    return json.dumps({"signatures": [token]})


def _named(files: Any) -> str:
    token = jwt.encode({"files": files, **OURS}, private_key("ES256", "k1"), "ES256", headers={"kid": "k1"})  # type: ignore[arg-type]
    return json.dumps({"signatures": [token]})


def _weak(files: Mapping[str, str]) -> str:
    return _named([{"name": name, "hash": "00", "algorithm": "MD5"} for name in files])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, "is not signed"),
        (
            lambda files: {"authz.rego": "package x", FILE: signature(files, **OURS)},
            "another 'authz.rego' than was signed",
        ),
        (lambda files: {"data.json": '{"answer": 1}', FILE: signature(files, **OURS)}, "another 'data.json'"),
        (lambda files: {".manifest": "{}", FILE: signature(files, **OURS)}, "another '.manifest'"),
        (
            lambda files: {"more.rego": "package y", FILE: signature(files, **OURS)},
            "'more.rego', which its signature does not",
        ),
        (lambda files: {FILE: signature({**files, "z.rego": ""}, **OURS)}, "lacks 'z.rego'"),
        (
            lambda files: {FILE: signature(files, key="k2", **OURS)},
            "its key is 'k2', and the settings have no such key",
        ),
        (lambda files: {FILE: signature(files)}, "signed for the scope '', not 'write'"),
        (
            lambda files: {FILE: signature(files, algorithm="RS256", **OURS)},
            "algorithm is RS256, but the key 'k1' is for",
        ),
        ({FILE: _unsigned_algorithm()}, "algorithm is none"),
        (lambda files: {FILE: _weak(files)}, "signed by its MD5, which is not trusted"),
        ({FILE: _named(["authz.rego"])}, "names a file without its digest"),
        ({FILE: _named("authz.rego")}, "names no files"),
        ({FILE: '{"signatures": []}'}, "exactly one signature"),
        ({FILE: '{"signatures": ["a.b.c"]}'}, "cannot be used"),
        ({FILE: '{"signatures": ["x"]}'}, "cannot be used"),
        ({FILE: "[]"}, "exactly one signature"),
        ({FILE: "{"}, "cannot be used"),
        ({FILE: "[" * 100_000}, "cannot be used"),
    ],
)
def test_whatever_is_not_wholly_signed_is_refused(
    trusted: Signatures, change: Callable[[Mapping[str, str]], dict[str, str]] | dict[str, str], why: str
) -> None:
    changed = change(FILES) if callable(change) else change
    with pytest.raises(DocumentError, match=why):
        trusted.verify(_bytes({**FILES, **changed}))


def test_spaces_and_order_of_data_are_not_signed(trusted: Signatures) -> None:
    data = json.dumps(dict(reversed(json.loads(FILES["data.json"]).items())), indent=4)
    trusted.verify(_bytes({**FILES, "data.json": data, FILE: signature(FILES, **OURS)}))


def test_a_signature_may_name_no_key_where_there_is_one(trusted: Signatures) -> None:
    files = signed(FILES, **OURS)
    token = jwt.encode(
        jwt.decode(json.loads(files[FILE])["signatures"][0], options={"verify_signature": False}),
        private_key("ES256", "k1"),  # type: ignore[arg-type]
        "ES256",
    )
    trusted.verify(_bytes({**files, FILE: json.dumps({"signatures": [token]})}))


def test_files_of_the_settings_have_to_be_signed_too(tmp_path: Path, trusted: Signatures) -> None:
    (tmp_path / "b.tar.gz").write_bytes(bundle(FILES))
    with pytest.raises(PolicyError, match=r"^b\.tar\.gz: is not signed$"):
        load(("b.tar.gz",), tmp_path, verify=trusted.verify)
    (tmp_path / "b.tar.gz").write_bytes(bundle(signed(FILES, **OURS)))
    assert load(("b.tar.gz",), tmp_path, verify=trusted.verify).version.revision == "1"


def test_every_key_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    public_key(tmp_path / "ec.pem", "ES256")
    weak = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - that is the point
    (tmp_path / "weak.pem").write_bytes(weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "no.pem").write_text("secret")
    entries = [
        ("a", "ES256", "gone.pem"),
        ("b", "RS256", "ec.pem"),
        ("c", "RS256", "weak.pem"),
        ("d", "RS256", "no.pem"),
    ]
    with pytest.raises(SettingsError) as raised:
        keys(*entries, folder=tmp_path)
    assert [str(mistake).partition(" (")[0] for mistake in raised.value.mistakes] == [
        "signing.keys[0].file: gone.pem: cannot be read: No such file or directory",
        "signing.keys[1].file: ec.pem: holds a key of another kind than RS256 needs",
        "signing.keys[2].file: weak.pem: holds an RSA key of 1024 bits, fewer than 2048",
        "signing.keys[3].file: no.pem: is no PEM file",
    ]


def test_secrets_do_not_verify() -> None:
    """Whoever can verify by a shared secret can sign."""
    with pytest.raises(ValidationError):
        SigningKeySettings(id="k", algorithm="HS256", file="k")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="two keys have one id"):
        SigningSettings(keys=(SigningKeySettings(id="k", file="a"), SigningKeySettings(id="k", file="b")))
