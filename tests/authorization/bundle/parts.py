"""Bundles, signed or not, as the tests need them."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import jwt

from tests.authentication.parts import private_key
from ztag_extauthz.authorization.bundle.signature import FILE, _meaning

POLICY = "package envoy.authz\nresult := data.answer"


def bundle(files: Mapping[str, str | bytes]) -> bytes:
    """Return a `.tar.gz` of files by name."""
    return packed(files.items())


def packed(entries: Iterable[tuple[str, str | bytes]]) -> bytes:
    """Return a `.tar.gz` of names and contents, of which a name may be there more than once."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, text in entries:
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def versioned(revision: str, *, answer: Any = True, policy: str = POLICY, **data: Any) -> dict[str, str]:
    manifest = json.dumps({"revision": revision})
    return {".manifest": manifest, "authz.rego": policy, "data.json": json.dumps({"answer": answer, **data})}


def signature(files: Mapping[str, str], key: str = "k1", algorithm: str = "ES256", **claims: Any) -> str:
    """Return `.signatures.json` for files by name."""
    named = [
        {"name": name, "hash": sha256(_meaning(name, text.encode())).hexdigest(), "algorithm": "SHA-256"}
        for name, text in files.items()
    ]
    token = jwt.encode({"files": named, **claims}, private_key(algorithm, key), algorithm, headers={"kid": key})  # type: ignore[arg-type]
    return json.dumps({"signatures": [token]})


def signed(files: Mapping[str, str], key: str = "k1", **options: Any) -> dict[str, str]:
    return {**files, FILE: signature(files, key, **options)}
