"""One body over all kinds of all stages. A new kind fails here until it has an example."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest
from pydantic import TypeAdapter, ValidationError

from ztag_extauthz.authentication import AuthenticatorSettings
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authorization import AuthorizerSettings
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.cli.common import resources_for
from ztag_extauthz.component import Component, Readiness
from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.errors import CheckError, MistakesError
from ztag_extauthz.model import (
    EMPTY,
    Allow,
    Context,
    Decision,
    Deny,
    Failed,
    Identity,
    Peer,
    Reason,
    Request,
    Stage,
    Timings,
)
from ztag_extauthz.reporting import ReporterSettings
from ztag_extauthz.reporting.interface import Reporter
from ztag_extauthz.section import Section
from ztag_extauthz.settings.fields import kind_of, sections_in

UNIONS: dict[str, Any] = {
    "authentication": AuthenticatorSettings,
    "authorization": AuthorizerSettings,
    "reporting": ReporterSettings,
}
KINDS = [(stage, section) for stage, union in UNIONS.items() for section in sections_in(union)]

EXAMPLES: dict[str, dict[str, Any]] = {
    "jwt": {
        "issuer": "https://issuer.example",
        "audiences": ["mesh"],
        "algorithms": ["RS256"],
        "jwks": {"file": "keys.json"},
    },
    "jwt_svid": {
        "trust_domain": "mesh.example",
        "audiences": ["spiffe://mesh.example/ns/shop/sa/orders"],
        "bundle": {"file": "bundle.json"},
    },
    "kubernetes": {"audiences": ["ztag"], "jwks": {"file": "keys.json"}},
    "introspection": {
        "issuer": "https://issuer.example",
        "url": "https://issuer.example/introspect",
        "client_id": "ztag",
        "client_secret": "secret",
        "audiences": ["mesh"],
    },
    "api_key": {"secret_file": "api-keys.secret", "file": "api-keys"},
    "assertion": {
        "issuer": "https://ztag.example",
        "jwks": {"file": "keys.json"},
        "callers": {"spiffe://mesh.example/ns/shop/sa/orders": "orders"},
    },
    "mesh": {"trust_domains": ["mesh.example"]},
    "anonymous": {},
    "quota": {"limits": [{"name": "subject", "limit": "100/minute burst 10", "by": ["subject"]}]},
    "risk": {},
    "step_up": {"rules": [{"paths": ["/payments"], "acr_values": ["mfa"], "max_age": 300}]},
    "rego": {"policies": ["policy.rego"], "decision": "p/allow"},
    "profiles": {
        "profiles": [{"name": "all", "policy": {"kind": "rego", "policies": ["policy.rego"], "decision": "p/allow"}}],
        "default": "all",
    },
    "audit": {"to": "audit.log"},
    "recording": {"to": "requests.jsonl"},
    "decision_log": {"url": "http://127.0.0.1:9"},
}

NO_CREDENTIAL = Request(
    id="1",
    method="GET",
    scheme="http",
    host="shop.example",
    path="/",
    protocol="HTTP/1.1",
    headers={":method": "GET", ":path": "/", "accept": "*/*"},
    repeated=frozenset(),
    body=None,
    partial=False,
    source=Peer(address="10.0.0.1"),
    destination=Peer(),
    context_extensions=EMPTY,
    is_http=True,
    defect="",
    attributes=lambda *_: {},
)
ANN = Identity("ann", "https://issuer.example", "jwt")


def of_kinds(*stages: str) -> pytest.MarkDecorator:
    kinds = [(stage, section) for stage, section in KINDS if not stages or stage in stages]
    return pytest.mark.parametrize(("stage", "section"), kinds, ids=[kind_of(section) for _, section in kinds])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the examples name."""
    folder = tmp_path_factory.mktemp("kinds")
    issuer = Issuer()
    (folder / "keys.json").write_text(json.dumps(issuer.key_set()))
    issuer.stop()
    bundle = [{**key, "use": "jwt-svid"} for key in issuer.key_set()["keys"]]
    (folder / "api-keys.secret").write_text("s" * 32)
    (folder / "api-keys").write_text("")
    (folder / "bundle.json").write_text(json.dumps({"keys": bundle}))
    (folder / "policy.rego").write_text(
        'package p\n\ndefault allow := false\n\nallow if input.identity.subject == "ann"\n'
    )
    return folder


@pytest.fixture
def component(section: type[Section], folder: Path) -> Iterator[Any]:
    settings: Any = section.model_validate({"kind": kind_of(section), **EXAMPLES[kind_of(section)]})
    with asyncio.Runner() as runner:
        built = settings.build(resources_for(folder))
        runner.run(built.start())
        yield built
        runner.run(built.close())


@of_kinds()
def test_every_kind_has_an_example(stage: str, section: type[Section]) -> None:  # noqa: ARG001
    assert kind_of(section) in EXAMPLES


@of_kinds()
def test_the_file_is_named_after_the_kind(stage: str, section: type[Section]) -> None:
    assert section.__module__ == f"ztag_extauthz.{stage}.{kind_of(section)}"
    assert section.__name__ == f"{kind_of(section).title().replace('_', '')}Settings"


@of_kinds()
def test_unknown_keys_are_refused(stage: str, section: type[Section]) -> None:
    example = {"kind": kind_of(section), **EXAMPLES[kind_of(section)]}
    assert TypeAdapter(UNIONS[stage]).validate_python(example).kind == kind_of(section)
    with pytest.raises(ValidationError, match="extra_forbidden"):
        TypeAdapter(UNIONS[stage]).validate_python({**example, "unheard_of": 1})


@of_kinds()
def test_settings_are_frozen(stage: str, section: type[Section]) -> None:  # noqa: ARG001
    settings: Any = section.model_validate({"kind": kind_of(section), **EXAMPLES[kind_of(section)]})
    with pytest.raises(ValidationError, match="frozen"):
        settings.kind = "other"


@of_kinds()
def test_what_is_built_is_of_its_stage(stage: str, component: Component) -> None:
    interface: dict[str, type[Component]] = {
        "authentication": Authenticator,
        "authorization": Authorizer,
        "reporting": Reporter,
    }
    assert isinstance(component, interface[stage])
    assert all(isinstance(entry, Readiness) for entry in component.readiness())


@of_kinds()
def test_the_component_names_its_kind(stage: str, section: type[Section], component: Component) -> None:  # noqa: ARG001
    assert component.kind == kind_of(section)


@of_kinds("authentication")
def test_a_request_without_its_credential_is_not_its_business(
    stage: str,  # noqa: ARG001
    section: type[Section],
    component: Authenticator,
) -> None:
    found = asyncio.run(component.authenticate(NO_CREDENTIAL, monotonic() + 10))
    if kind_of(section) == "anonymous":
        assert isinstance(found, Identity)
        assert component.challenge() is None
    else:
        assert found is None
        # A client certificate is asked for by TLS, an assertion by nobody.
        assert bool(component.challenge()) == (kind_of(section) not in {"assertion", "mesh"})


@of_kinds("authentication")
def test_a_connection_without_http_gets_an_answer(stage: str, component: Authenticator) -> None:  # noqa: ARG001
    connection = msgspec.structs.replace(NO_CREDENTIAL, is_http=False, headers={}, method="", path="")
    found = asyncio.run(component.authenticate(connection, monotonic() + 10))
    assert found is None or isinstance(found, Identity)


@of_kinds("authorization")
def test_an_authorizer_says_yes_or_no_to_whom_it_knows(
    stage: str,  # noqa: ARG001
    section: type[Section],
    component: Authorizer,
) -> None:
    bob = Identity("bob", "", "anonymous")
    said = [
        asyncio.run(component.authorize(Context(NO_CREDENTIAL, identity), monotonic() + 10)) for identity in (ANN, bob)
    ]
    assert isinstance(said[0], Allow)
    assert isinstance(said[1], Deny if getattr(section, "decides", True) else Allow)


@of_kinds("authorization")
def test_never_5_an_authorizer_that_is_too_late_says_so(
    stage: str,  # noqa: ARG001
    section: type[Section],
    component: Authorizer,
) -> None:
    if not getattr(section, "decides", True):
        return  # it waits for nothing; who decides comes after it
    with pytest.raises(CheckError) as raised:
        asyncio.run(component.authorize(Context(NO_CREDENTIAL, ANN), monotonic() - 1))
    assert raised.value.reason is Reason.DEADLINE


@of_kinds("reporting")
@pytest.mark.parametrize(
    "verdict",
    [Allow(), Deny(Reason.POLICY, "\ud800"), Failed(Reason.INTERNAL, "x" * 100_000)],
    ids=["allow", "deny", "error"],
)
def test_a_reporter_never_raises(stage: str, component: Reporter, verdict: Any) -> None:  # noqa: ARG001
    decision = Decision("id", 0.0, verdict, Stage.AUTHORIZATION, "rego", ANN, EMPTY, Timings())
    component.report(NO_CREDENTIAL, decision)


@of_kinds()
def test_a_missing_file_is_told_when_it_is_built(stage: str, section: type[Section], tmp_path: Path) -> None:  # noqa: ARG001
    settings: Any = section.model_validate({"kind": kind_of(section), **EXAMPLES[kind_of(section)]})
    if list(settings.files()):
        with pytest.raises(MistakesError):
            settings.build(resources_for(tmp_path))
