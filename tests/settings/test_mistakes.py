"""Files with a mistake each, and exactly what is said of them."""

# ruff: noqa: E501 - a message stands on one line

from pathlib import Path

import pytest

from ztag_extauthz.errors import SettingsError
from ztag_extauthz.settings import load

FILES = Path(__file__).parent / "mistakes"

EXPECTED: dict[str, tuple[str, ...]] = {
    "profile_for_nothing": (
        "profile_for_nothing.yaml:6: authorization[0].profiles[0].whem: unknown key (did you mean when?)",
        "profile_for_nothing.yaml:9: authorization[0].profiles[1].when: names nothing (name hosts, paths or context_extensions; for all others: default)",
    ),
    "profiles_by_ambiguous_paths": (
        "profiles_by_ambiguous_paths.yaml:7: authorization[0].profiles[0].when.paths: admission.insecure_ambiguous_paths lets paths through that mean another (choose by hosts)",
    ),
    "address_as_number": (
        'address_as_number.yaml:2: listen.grpc: expected text, got a number (put it in quotes: "…")',
    ),
    "address_without_port": (
        "address_without_port.yaml:2: listen.grpc: is no address (write host:port, e.g. 127.0.0.1:9191, or unix:///path.sock)",
    ),
    "admin_port_of_a_worker": (
        "admin_port_of_a_worker.yaml:3: listen.admin: port 9902 belongs to a worker (each worker has a port of its own, from that of listen.grpc on)",
    ),
    "admin_port_too_high": (
        "admin_port_too_high.yaml:2: listen.admin: is no address (write host:port, e.g. 127.0.0.1:9902)",
    ),
    "alias_of_itself": (
        "alias_of_itself.yaml:6: server.engine: aliases expand without end, or too deeply (write the values out)",
    ),
    "anonymous_first": (
        "anonymous_first.yaml:2: authentication[0]: anonymous answers for everybody, so no later kind would be asked (move it to the end)",
    ),
    "audience_no": (
        'audience_no.yaml:4: authentication[0].audiences[0]: expected text, got true or false (put it in quotes: "…")',
    ),
    "audiences_as_text": (
        "audiences_as_text.yaml:4: authentication[0].audiences: expected a list, got text (write it as [a, b], or as lines that begin with `- `)",
    ),
    "bracket_left_open": (
        "bracket_left_open.yaml:7:1: not YAML: expected ',' or '}', but got '<stream end>' (check the indentation and the quotes here)",
    ),
    "clients_without_ca": (
        "clients_without_ca.yaml:5: listen.tls.allowed_clients: needs client_ca (add listen.tls.client_ca: without it no client shows a certificate)",
    ),
    "deadline_not_a_number": ("deadline_not_a_number.yaml:2: server.default_deadline: is not finite (e.g. 0.5)",),
    "empty": (
        "empty.yaml:1: authentication: is missing (The first kind whose credential is present answers)",
        "empty.yaml:1: authorization: is missing (Every one has to allow, in this order)",
    ),
    "header_with_space": (
        "header_with_space.yaml:6: authentication[0].header: is not of the form that it must have (The request header with the token)",
    ),
    "owned_headers_host": (
        "owned_headers_host.yaml:2: response.owned_headers: 'Host' is no header that could be removed (list names like x-user)",
    ),
    "owned_headers_no_names": (
        "owned_headers_no_names.yaml:2: response.owned_headers: ':path' is no header that could be removed (list names like x-user)",
    ),
    "owned_headers_space": (
        "owned_headers_space.yaml:2: response.owned_headers: 'x role' is no header that could be removed (list names like x-user)",
    ),
    "issuer_empty": (
        "issuer_empty.yaml:3: authentication[0].issuer: is empty (`iss` of the tokens, compared byte for byte)",
    ),
    "issuer_twice": (
        "issuer_twice.yaml:7: authentication[1].issuer: is the issuer of authentication[0] already (join the two)",
    ),
    "realm_of_a_second_issuer": (
        "realm_of_a_second_issuer.yaml:12: authentication[1].realm: differs from that of authentication[0], which is told for authorization (write the same realm in both, or leave this one out)",
    ),
    "issuer_without_tls": (
        "issuer_without_tls.yaml:2: authentication[0]: no keys can be discovered: issuer is not https: whoever sits on the way could put something of their own there (add jwks: {file: …} or {url: https://…})",
    ),
    "key_twice": ("key_twice.yaml:7: server: occurs twice, first in line 3 (keep one of them)",),
    "kind_as_text": (
        "kind_as_text.yaml:2: authentication[0]: expected a section, got text (write it as lines `key: value`, indented)",
    ),
    "list_at_the_top": ("list_at_the_top.yaml:1: not a mapping (begin with `authentication:`)",),
    "merge_key": ("merge_key.yaml:7: server: merge keys (`<<`) are not read (write the keys out)",),
    "misspelt_and_missing": (
        "misspelt_and_missing.yaml:3: authentication[0].isuer: unknown key (did you mean issuer?)",
    ),
    "no_algorithm": (
        "no_algorithm.yaml:5: authentication[0].algorithms[0]: 'none' is not allowed (known: ES256, ES384, ES512, Ed25519, Ed448, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512)",
    ),
    "no_authentication": (
        "no_authentication.yaml:1: authentication: is missing (The first kind whose credential is present answers)",
    ),
    "no_kind": ("no_kind.yaml:2: authentication[0]: has no kind (did you mean kind: jwt?)",),
    "no_policies": (
        "no_policies.yaml:4: authorization[0]: no policies (name .rego files, folders of them, or bundles in `policies`, or add bundle)",
    ),
    "no_ports_left": ("no_ports_left.yaml:2: listen.grpc: 2 workers need 2 ports from 65535 on (take a lower port)",),
    "no_types": (
        "no_types.yaml:6: authentication[0].types: is empty, so no token could be accepted (list typ values, or absent for tokens without)",
    ),
    "nobody_decides": (
        "nobody_decides.yaml:3: authorization: is empty (list at least one kind: profiles, quota, rego, risk, step_up)",
    ),
    "nobody_may_ask": (
        "nobody_may_ask.yaml:1: authentication: is empty (list at least one kind: anonymous, api_key, assertion, introspection, jwt, jwt_svid, kubernetes, mesh)",
    ),
    "perhaps": ("perhaps.yaml:2: server.reflection: expected true or false, got text (write true or false)",),
    "risk_after_policy": (
        "risk_after_policy.yaml:5: authorization[1]: comes after authorization[0], so that no policy could read input.risk (put risk before the policies)",
    ),
    "two_concurrent_quotas": (
        "two_concurrent_quotas.yaml:6: authorization[1].concurrent: another `quota` before it limits concurrency too (list all of them in one)",
    ),
    "plaintext_for_everybody": (
        "plaintext_for_everybody.yaml:2: listen.grpc: plain text on an address that others can reach (add listen.tls, listen on loopback or a UNIX socket, or set listen.insecure_plaintext: true)",
    ),
    "tls_for_any_client": (
        "tls_for_any_client.yaml:3: listen.tls.client_ca: anybody may ask on an address that others can reach (add client_ca and allowed_clients, or set listen.insecure_any_client: true)",
    ),
    "tls_for_any_certificate": (
        "tls_for_any_certificate.yaml:3: listen.tls.allowed_clients: whoever has a certificate of client_ca may ask on an address that others can reach (list the SPIFFE ids or DNS names of the Envoys, or set listen.insecure_any_client: true)",
    ),
    "socket_mode_as_number": (
        'socket_mode_as_number.yaml:3: listen.socket_mode: expected text, got a number (put it in quotes: "…")',
    ),
    "python_object": (
        "python_object.yaml:6: server: the tag tag:yaml.org,2002:python/object/apply:os.system is not read (write plain YAML)",
    ),
    "secret_header": (
        "secret_header.yaml:8: reporting[0].include_headers: authorization may hold a secret (leave it out: who reads the log could use it)",
    ),
    "revocation_by_nobody": (
        "revocation_by_nobody.yaml:2: listen.revocation: nobody may revoke there (add revocation.operators or revocation.transmitters)",
    ),
    "revocation_in_the_open": (
        "revocation_in_the_open.yaml:2: listen.revocation: plain text on an address that others can reach (add listen.revocation_tls, listen on loopback, or set listen.insecure_plaintext: true)",
    ),
    "revocation_no_address": (
        "revocation_no_address.yaml:2: listen.revocation: is no address (write host:port, e.g. 127.0.0.1:9903)",
    ),
    "revocation_nowhere": (
        "revocation_nowhere.yaml:1: revocation: operators or transmitters, but no listener that they could reach (add listen.revocation: host:port, e.g. 127.0.0.1:9903)",
    ),
    "revocation_tls_alone": (
        "revocation_tls_alone.yaml:2: listen.revocation_tls: needs listen.revocation (add it, or leave both out)",
    ),
    "rate_limit_of_callers": (
        "rate_limit_of_callers.yaml:3: authorization[0]: 'rate_limit' is no kind (for known callers it is kind: quota; before anybody is known, admission.rate_limit)",
    ),
    "section_as_text": (
        "section_as_text.yaml:1: listen: expected a section, got text (write it as lines `key: value`, indented)",
    ),
    "skew_of_an_hour": (
        "skew_of_an_hour.yaml:6: authentication[0].clock_skew: must be at most 60.0 (Seconds by which the issuer's clock may differ from this one)",
    ),
    "socket_not_absolute": (
        "socket_not_absolute.yaml:2: listen.grpc: the socket's path is not absolute (write unix:///run/ztag/ztag.sock)",
    ),
    "symmetric_algorithm": (
        "symmetric_algorithm.yaml:5: authentication[0].algorithms[0]: 'HS256' is not allowed (shared secrets are not accepted: have the issuer sign with a private key, e.g. RS256 or ES256)",
    ),
    "tab": (
        "tab.yaml:7:1: not YAML: found character '\\t' that cannot start any token (check the indentation and the quotes here)",
    ),
    "tls_on_socket": (
        "tls_on_socket.yaml:3: listen.tls: there is no TLS on a UNIX socket (leave listen.tls out: the permissions of the socket's file say who may connect)",
    ),
    "tls_without_key": ("tls_without_key.yaml:2: listen.tls.key: is missing (PEM file with its private key)",),
    "too_few_workers": ("too_few_workers.yaml:2: server.workers: must be at least 1 (Worker processes)",),
    "unknown_engine": ("unknown_engine.yaml:2: server.engine: 'h2con' is not allowed (did you mean h2corn?)",),
    "unknown_key": ("unknown_key.yaml:2: listen.grcp: unknown key (did you mean grpc?)",),
    "unknown_kind": ("unknown_kind.yaml:2: authentication[0]: 'jtw' is no kind (did you mean jwt?)",),
    "unknown_section": ("unknown_section.yaml:6: reportng: unknown key (did you mean reporting?)",),
    "workers_in_words": (
        "workers_in_words.yaml:2: server.workers: expected a whole number, got text (write digits only, e.g. 2)",
    ),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_each_mistake_has_its_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FILES)
    with pytest.raises(SettingsError) as raised:
        load(Path(f"{name}.yaml"), {})
    assert tuple(map(str, raised.value.mistakes)) == EXPECTED[name]


def test_every_file_is_expected() -> None:
    assert {path.stem for path in FILES.glob("*.yaml")} == EXPECTED.keys()


TEN = """\
listen:
  grcp: 127.0.0.1:9191
  admin: 9902
server:
  engine: h2con
  workers: 0
authentication:
  - kind: jtw
  - kind: jwt
    isuer: https://issuer.example
    audiences: mesh
    algorithms: [none]
  - kind: anonymous
authorization: []
reportng: []
"""


def test_ten_mistakes_in_one_file_are_ten_messages(tmp_path: Path) -> None:
    path = tmp_path / "ztag.yaml"
    path.write_text(TEN)
    with pytest.raises(SettingsError) as raised:
        load(path, {})
    assert [mistake.where.removeprefix(f"{path}:") for mistake in raised.value.mistakes] == [
        "2: listen.grcp",
        "3: listen.admin",
        "5: server.engine",
        "6: server.workers",
        "8: authentication[0]",
        "10: authentication[1].isuer",
        "11: authentication[1].audiences",
        "12: authentication[1].algorithms[0]",
        "14: authorization",
        "15: reportng",
    ]
    assert all(mistake.remedy for mistake in raised.value.mistakes)


def test_no_message_is_of_pydantics_making() -> None:
    for path in FILES.glob("*.yaml"):
        with pytest.raises(SettingsError) as raised:
            load(path, {})
        assert "input should" not in str(raised.value).lower()
        assert "pydantic" not in str(raised.value).lower()
