import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.authorization.parts import FAR
from tests.envoy.checks import ALICE, check, request, run
from ztag_extauthz.authorization.profiles import Profiles, ProfilesSettings, WhenSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import PolicyError
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Allow, Context, Deny, Reason, Verdict

POLICIES = {"yes": "result := true", "no": "result := false", "broken": "result := {"}


def profile(name: str, policy: str, **when: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "policy": {"kind": "rego", "policies": [f"{policy}.rego"]}}
    return found | ({"when": when} if when else {})


def build(folder: Path, *profiles: dict[str, Any], default: str | None = None) -> Profiles:
    for name, text in POLICIES.items():
        (folder / f"{name}.rego").write_text(f"package envoy.authz\n{text}\n")
    settings = ProfilesSettings.model_validate({"kind": "profiles", "profiles": profiles, "default": default})
    return settings.build(Resources(folder, lambda: 0.0, Meter()))


def ask(profiles: Profiles, path: str = "/", host: str = "shop.example", **extensions: str) -> Verdict:
    message = check(path)
    message.attributes.request.http.host = host
    message.attributes.context_extensions.update(extensions)
    found: Verdict = run(profiles.authorize(Context(request(message), ALICE), FAR))
    return found


def test_the_first_profile_that_is_for_a_request_decides(tmp_path: Path) -> None:
    built = build(
        tmp_path,
        profile("below", "no", paths=["/api/private/*"]),
        profile("api", "yes", paths=["/api/*"]),
        profile("shop", "yes", hosts=["shop.example"], paths=["/"]),
        profile("routed", "yes", context_extensions={"profile": "a"}),
    )
    assert isinstance(ask(built, "/api/a"), Allow)
    assert isinstance(ask(built, "/"), Allow)
    assert isinstance(ask(built, "/x", profile="a"), Allow)
    assert ask(built, "/api/private/a") == Deny(
        Reason.POLICY, policy_revision=ask(built, "/api/private/a").policy_revision
    )


def test_never_2_a_request_that_no_profile_is_for_is_denied(tmp_path: Path) -> None:
    built = build(tmp_path, profile("a", "yes", hosts=["a.example"], paths=["/api/*"], context_extensions={"b": "c"}))
    assert isinstance(ask(built, "/api/1", "a.example", b="c"), Allow)
    refused = Deny(Reason.POLICY, "no profile is for this request")
    for path, host, extensions in [
        ("/api/1", "b.example", {"b": "c"}),
        ("/other", "a.example", {"b": "c"}),
        ("/api/1", "a.example", {"b": "d"}),
        ("/api/1", "a.example", {}),
        ("/apis", "a.example", {"b": "c"}),
    ]:
        assert ask(built, path, host, **extensions) == refused


def test_a_default_that_is_named_decides_on_all_others(tmp_path: Path) -> None:
    built = build(tmp_path, profile("api", "no", paths=["/api/*"]), profile("rest", "yes"), default="rest")
    assert isinstance(ask(built, "/api/a"), Deny)
    assert isinstance(ask(built, "/x"), Allow)


@pytest.mark.parametrize(
    ("path", "host"),
    [("/", "admin.example:"), ("/", "ADMIN.example.:80"), ("/admin", "shop.example"), ("/admin?x", "shop.example")],
)
def test_never_4_no_spelling_leads_to_the_default(tmp_path: Path, path: str, host: str) -> None:
    closed = (profile("hosts", "no", hosts=["admin.example"]), profile("paths", "no", paths=["/admin/*"]))
    built = build(tmp_path, *closed, profile("rest", "yes"), default="rest")
    assert isinstance(ask(built, "/shop"), Allow)
    assert isinstance(ask(built, path, host), Deny)


def test_a_profiles_error_is_an_error(tmp_path: Path) -> None:
    """And not a reason to ask the next one."""
    (tmp_path / "none.rego").write_text("package envoy.authz\nresult if false\n")
    built = build(tmp_path, profile("none", "none", paths=["/*"]), profile("rest", "yes"), default="rest")
    with pytest.raises(Exception, match="undefined"):
        ask(built, "/a")


@pytest.mark.parametrize(
    ("host", "named", "holds"),
    [
        ("shop.example", "shop.example", True),
        ("SHOP.example:8443", "shop.example", True),
        ("shop.example.", "Shop.Example", True),
        ("shop.example.:80", "shop.example", True),
        ("shop.example:", "shop.example", True),
        ("shop.example.:", "shop.example", True),
        ("[::1]:", "[::1]", True),
        ("a.shop.example", "shop.example", False),
        ("a.b.shop.example", "*.shop.example", True),
        ("shop.example", "*.shop.example", False),
        ("evilshop.example", "*.shop.example", False),
        ("shop.example@evil", "shop.example", False),
        ("[::1]:80", "[::1]", True),
        ("", "shop.example", False),
    ],
)
def test_hosts(host: str, named: str, holds: bool) -> None:  # noqa: FBT001
    message = check()
    message.attributes.request.http.host = host
    if not host:
        message.attributes.request.http.headers.pop(":authority")
    assert WhenSettings(hosts=(named,)).holds(request(message)) is holds


@pytest.mark.parametrize(
    ("path", "named", "holds"),
    [
        ("/health", "/health", True),
        ("/health?x=/api/", "/health", True),
        ("/healthy", "/health", False),
        ("/api/", "/api/*", True),
        ("/api", "/api/*", True),
        ("/api?x=1", "/api/*", True),
        ("/ap", "/api/*", False),
        ("/apix", "/api/*", False),
        ("/x?/api/", "/api/*", False),
        ("/", "/*", True),
        ("shop.example:443", "/*", False),
        ("*", "/*", False),
    ],
)
def test_paths(path: str, named: str, holds: bool) -> None:  # noqa: FBT001
    assert WhenSettings(paths=(named,)).holds(request(check(path))) is holds


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ([profile("a", "yes")], "profile a is for no request"),
        ([profile("a", "yes", paths=["/a"]), profile("a", "no", paths=["/b"])], "two profiles are named a"),
        ([profile("a", "yes", paths=["a"])], "is no path"),
        ([profile("a", "yes", paths=["/a*"])], "is no path"),
        ([profile("a", "yes", hosts=["a*.example"])], "is no host"),
        ([profile("a", "yes", hosts=["*."])], "is no host"),
        ([profile("a", "yes", hosts=[])], "names nothing"),
        ([], "at least 1"),
    ],
)
def test_mistakes(settings: list[Any], told: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        ProfilesSettings.model_validate({"kind": "profiles", "profiles": settings})


def test_a_default_has_to_be_there() -> None:
    entry = {"kind": "profiles", "profiles": [profile("a", "yes", paths=["/a"])], "default": "b"}
    with pytest.raises(ValidationError, match="no profile is named b"):
        ProfilesSettings.model_validate(entry)


def test_every_policys_mistakes_are_told_with_their_profile(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as raised:
        build(tmp_path, profile("a", "broken", paths=["/a"]), profile("b", "missing", paths=["/b"]))
    places = [mistake.setting for mistake in raised.value.mistakes]
    assert places == ["profiles[0].policy.policies", "profiles[1].policy.policies"]


def test_readiness_names_the_profile(tmp_path: Path) -> None:
    (ready,) = build(tmp_path, profile("a", "yes", paths=["/a"])).readiness()
    assert ready.component == "policy envoy/authz/result of profile a"
