"""opa-envoy-plugin with the example policy, as it comes and at its best.

The plugin verifies the tokens in Rego (`io.jwt.decode_verify`), as its users do, for that is all it can. Neither has a
decision log, metrics or reflection; at its best means

1. the issuer's key as PEM: the plugin reads `cert` at every decision, and a JWKS takes it longer;
2. Go's collector runs when the memory is used, and not whenever a small heap has doubled;
3. verified tokens remembered (`io_jwt`), which OPA offers; this version of the plugin does not hand it to the policy.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWKSet

from loadtest.contract import plugin
from loadtest.corpus import AUDIENCE, ISSUER
from loadtest.workload import ROOT, Workload

LEAN: Final = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""The environment of a Go server that may use memory to save CPU."""
_TOKENS: Final = "caching.inter_query_builtin_value_cache.named.io_jwt.max_num_entries=100000"
_IDENTITY: Final = """
bearer := substring(input.attributes.request.http.headers.authorization, 7, -1)

verified := io.jwt.decode_verify(bearer, {{"cert": {keys}, "iss": "{issuer}", "aud": "{audience}", "alg": "RS256"}})

default identity := {{"kind": "anonymous", "subject": "anonymous", "claims": {{}}}}

identity := {{"kind": "jwt", "subject": verified[2].sub, "claims": verified[2]}} if verified[0]
"""


@contextmanager
def started(load: Workload, *, best: bool) -> Iterator[plugin.Plugin]:
    """Start the plugin; builds it the first time, which takes Go."""
    keys = (load.folder / "jwks.json").read_text()
    setup = plugin.Setup(opa=(_TOKENS,), environment=LEAN) if best else plugin.Setup()
    with plugin.started(plugin.built(), policy(pem(keys) if best else keys), "envoy/authz/result", setup) as running:
        yield running


def policy(keys: str) -> str:
    """Return the example policy with `input.identity` made in Rego from a token that one of the keys signed."""
    identity = _IDENTITY.format(keys=json.dumps(keys), issuer=ISSUER, audience=AUDIENCE)
    return (ROOT / "policy/envoy/authz.rego").read_text().replace("input.identity", "identity") + identity


def pem(keys: str) -> str:
    """Return the one key of a set as PEM."""
    key = PyJWKSet.from_json(keys).keys[0].key
    return str(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
