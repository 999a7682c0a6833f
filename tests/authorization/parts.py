"""What the tests of authorization share."""

from collections.abc import Mapping
from typing import Any

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from tests.envoy.checks import ALICE, request, run
from ztag_extauthz.authorization.engines.embedded import Embedded
from ztag_extauthz.authorization.input import opa_input
from ztag_extauthz.authorization.input.grpc_body import ProtoDescriptor
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.model import EMPTY, Context, Identity, Verdict

FAR = 1e18
"""A deadline that no test reaches."""


def document(
    message: CheckRequest,
    *,
    identity: Identity = ALICE,
    facts: Mapping[str, Any] = EMPTY,
    descriptor: ProtoDescriptor | None = None,
    parse_body: bool = True,
) -> dict[str, Any]:
    return opa_input.build(Context(request(message), identity, facts), descriptor, parse_body=parse_body)


def engine(policy: str, data: Mapping[str, Any] = EMPTY, decision: str = "p/result") -> Embedded:
    return Embedded({"p.rego": f"package p\n{policy}"}, dict(data), decision)


def verdict(policy: str, message: CheckRequest, identity: Identity = ALICE, **settings: Any) -> Verdict:
    """What a policy with a rule `result` says about a request."""
    options = RegoSettings(kind="rego", policies=("p.rego",), decision="p/result", **settings)
    rego = Rego(options, engine(policy), None, 0.0)
    found: Verdict = run(rego.authorize(Context(request(message), identity), FAR))
    return found
