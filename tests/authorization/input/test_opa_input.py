from types import MappingProxyType

import pytest

from tests.authorization.parts import document
from tests.envoy.checks import ALICE, a92, check, connection, listed
from ztag_extauthz.authorization.input.opa_input import Identities, of_identity
from ztag_extauthz.authorization.input.parse_error import ParseError
from ztag_extauthz.model import Identity


def test_the_document_has_what_the_contract_names() -> None:
    message = check("/api/v1/products?a=1&a=2&x=y")
    message.attributes.source.principal = "spiffe://mesh/sa/a"
    found = document(message)
    assert found["version"] == {"ext_authz": "v3", "encoding": "protojson"}
    assert found["attributes"]["request"]["http"]["path"] == "/api/v1/products?a=1&a=2&x=y"
    assert found["parsed_path"] == ["api", "v1", "products"]
    assert found["parsed_query"] == {"a": ["1", "2"], "x": ["y"]}
    assert found["parsed_body"] is None
    assert found["truncated_body"] is False
    assert found["source_principal"] == "spiffe://mesh/sa/a"


def test_the_principal_is_left_out_where_there_is_none() -> None:
    assert "source_principal" not in document(check())


def test_the_body_is_left_out_where_the_settings_say_so() -> None:
    message = check(headers={"content-type": "application/json"}, body="{")
    found = document(message, parse_body=False)
    assert "parsed_body" not in found
    assert "truncated_body" not in found


@pytest.mark.parametrize(
    ("path", "parsed"),
    [
        ("", [""]), ("/", [""]), ("/a/", ["a", ""]), ("/a%2Fb", ["a", "b"]), ("/a/../b", ["a", "..", "b"]),
        ("/%252e", ["%2e"]), ("///a", ["a"]), ("/a%3Fb?c", ["a?b"]), ("/a+b", ["a+b"]), ("/caf%C3%A9", ["café"]),
        ("/%ff", ["\ufffd"]), ("*", ["*"]), ("/a;b", ["a;b"]),
    ],
)  # fmt: skip
def test_paths_are_parsed_as_go_does(path: str, parsed: list[str]) -> None:
    assert document(check(path))["parsed_path"] == parsed


@pytest.mark.parametrize("path", ["/%", "/%zz", "/a?b=%zz", "/a?b;c"])
def test_paths_that_go_refuses_are_refused(path: str) -> None:
    with pytest.raises(ParseError):
        document(check(path))


def test_who_asks_is_there() -> None:
    identity = Identity(
        "alice", "https://issuer.example", "jwt", MappingProxyType({"roles": ["a"]}), 1_800_000_000.5, roles=("a",)
    )
    assert document(check(), identity=identity)["identity"] == {
        "subject": "alice",
        "issuer": "https://issuer.example",
        "kind": "jwt",
        "claims": {"roles": ["a"]},
        "expires_at": 1_800_000_000.5,
        "scopes": [],
        "roles": ["a"],
        "groups": [],
    }
    assert document(check(), identity=ALICE)["identity"]["expires_at"] is None


def test_never_4_nobody_is_shown_as_somebody_else() -> None:
    identities = Identities(of_identity, max_entries=2)
    people = [Identity(subject=f"s{number}", issuer="i", kind="jwt", claims={"n": number}) for number in range(9)]
    for person in [*people, *people]:
        for _ in range(2):
            assert identities(person)["subject"] == person.subject
            assert identities(person)["claims"] == person.claims


def test_never_4_an_identity_that_is_gone_leaves_its_place_to_nobody() -> None:
    identities = Identities(of_identity)
    for number in range(1000):
        # Each is garbage at once, so that a later one could be made at the same address.
        passing = Identity(subject=f"s{number}", issuer="i", kind="jwt")
        assert identities(passing)["subject"] == f"s{number}"


def test_facts_are_there_and_take_no_other_place() -> None:
    found = document(check(), facts={"risk": {"score": 7}, "identity": "forged", "attributes": "forged"})
    assert found["risk"] == {"score": 7}
    assert found["identity"]["subject"] == "alice"
    assert found["attributes"]["request"]


def test_s30_connections_have_a_document() -> None:
    found = document(connection())
    assert "request" not in found["attributes"]
    assert (found["parsed_path"], found["parsed_query"], found["parsed_body"]) == ([""], {}, None)
    assert found["source_principal"] == "spiffe://mesh.example/ns/edge/sa/envoy"
    assert document(a92())["parsed_path"] == ["shop.Cart", "Add"]


def test_bodies_are_read_beside_listed_headers() -> None:
    message = listed([("content-type", b"application/json")])
    message.attributes.request.http.body = "[1]"
    found = document(message)
    assert found["parsed_body"] == [1]
    assert "headers" not in found["attributes"]["request"]["http"]
