"""Insecure choices are named, and addresses are what they look like."""

import pytest
from pydantic import ValidationError

from ztag_extauthz.settings import Settings, endpoints, insecure
from ztag_extauthz.settings.addresses import split_address
from ztag_extauthz.settings.document import spell
from ztag_extauthz.settings.rules import check, sound


def test_insecure_choices_are_named() -> None:
    settings = Settings.model_validate(
        {
            "listen": {"insecure_plaintext": True, "insecure_any_client": True},
            "admission": {"insecure_ambiguous_paths": True},
            "authentication": [
                {
                    "kind": "jwt",
                    "issuer": "http://issuer.example",
                    "audiences": ["mesh"],
                    "algorithms": ["RS256"],
                    "jwks": {"insecure_http_keys": True},
                }
            ],
            "authorization": [{"kind": "rego", "policies": ["p"], "dry_run": True}],
        }
    )
    assert set(insecure(settings)) == {
        "listen.insecure_plaintext",
        "listen.insecure_any_client",
        "admission.insecure_ambiguous_paths",
        "authentication[0].jwks.insecure_http_keys",
        "authorization[0].dry_run",
    }


def test_the_defaults_have_no_insecure_choice() -> None:
    settings = Settings.model_validate(
        {"authentication": [{"kind": "anonymous"}], "authorization": [{"kind": "rego", "policies": ["p"]}]}
    )
    assert insecure(settings) == ()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9191", ("127.0.0.1", 9191)),
        ("[::1]:0", ("::1", 0)),
        ("ztag.example:1", ("ztag.example", 1)),
        ("::1:9191", None),
        ("9191", None),
        (":9191", None),
        ("host:", None),
        ("host:65536", None),
        ("host:٩", None),
        ("http://host:1", None),
        ("[::1:1", None),
    ],
)
def test_addresses(text: str, address: tuple[str, int] | None) -> None:
    assert split_address(text) == address


def test_each_worker_has_an_endpoint() -> None:
    assert endpoints("127.0.0.1:9191", 2) == ("127.0.0.1:9191", "127.0.0.1:9192")
    assert endpoints("[::1]:9191", 2) == ("[::1]:9191", "[::1]:9192")
    assert endpoints("unix:///run/z.sock", 3) == (
        "unix:///run/z.sock",
        "unix:///run/z.1.sock",
        "unix:///run/z.2.sock",
    )
    assert endpoints("unix:///run/z", 2) == ("unix:///run/z", "unix:///run/z.1")
    assert endpoints("127.0.0.1:0", 2) == ("127.0.0.1:0", "127.0.0.1:0")


def between(**sections: object) -> list[str]:
    """Return what is wrong between sections that are right by themselves."""
    document = {"authentication": [{"kind": "anonymous"}], "authorization": [{"kind": "rego", "policies": ["p"]}]}
    return [f"{spell(path)}: {what}" for path, what, _ in check(sound(document | sections))]


def test_two_reporters_of_one_file_are_a_mistake() -> None:
    audit, recording = ({"kind": kind, "to": to} for kind, to in (("audit", "log"), ("recording", "./log")))
    assert between(reporting=[audit, recording]) == ["reporting[1].to: is the file of reporting[0] already"]
    apart = [{"kind": "audit", "to": "stdout"}, {"kind": "audit"}, {"kind": "audit", "to": "/dev/null"}, recording]
    assert between(reporting=apart) == []


def test_a_step_that_nobody_can_take_is_a_mistake() -> None:
    step_up = {"kind": "step_up", "rules": [{"paths": ["/pay"], "acr_values": ["high"]}]}
    kinds = [step_up, {"kind": "rego", "policies": ["p"]}]
    what = "nobody could step up: anonymous is the only kind of credential"
    assert between(authorization=kinds) == [f"authorization[0]: {what}"]


def test_every_header_that_is_wrong_is_named() -> None:
    with pytest.raises(ValidationError, match=r"'x y' is no header that could be set here; 'x-user' takes nothing"):
        Settings.model_validate({"response": {"headers": {"x y": "{subject}", "x-user": "{nobody}"}}})
