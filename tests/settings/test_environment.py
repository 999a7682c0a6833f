"""The environment overrides the file, and is held to the same rules."""

from pathlib import Path

import pytest

from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.settings import Settings, load

FILE = """\
authentication:
  - kind: anonymous
authorization:
  - kind: rego
    policies: [policy]
"""


def loaded(folder: Path, environment: dict[str, str], text: str = FILE) -> Settings:
    path = folder / "ztag.yaml"
    path.write_text(text)
    return load(path, environment)


def refused(folder: Path, environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as raised:
        loaded(folder, environment)
    return str(raised.value)


def test_values_are_overridden(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        {
            "ZTAG_LISTEN__GRPC": "[::1]:9999",
            "ZTAG_SERVER__WORKERS": "2",
            "ZTAG_SERVER__REFLECTION": "true",
            "ZTAG_SERVER__DEFAULT_DEADLINE": "0.5",
        },
    )
    assert settings.listen.grpc == "[::1]:9999"
    assert settings.server.workers == 2
    assert settings.server.reflection is True
    assert settings.server.default_deadline == 0.5


def test_entries_of_lists_go_by_their_number(tmp_path: Path) -> None:
    environment = {
        "ZTAG_AUTHENTICATION__0__KIND": "jwt",
        "ZTAG_AUTHENTICATION__0__ISSUER": "https://issuer.example",
        "ZTAG_AUTHENTICATION__0__AUDIENCES": '["mesh", "edge"]',
        "ZTAG_AUTHENTICATION__0__ALGORITHMS__0": "RS256",
        "ZTAG_AUTHENTICATION__0__ALGORITHMS__1": "ES256",
        "ZTAG_AUTHENTICATION__1__KIND": "anonymous",
    }
    first, second = loaded(tmp_path, environment).authentication
    assert first.model_dump(include={"audiences", "algorithms"}) == {
        "audiences": ("mesh", "edge"),
        "algorithms": ("RS256", "ES256"),
    }
    assert second.kind == "anonymous"


def test_ten_entries_are_put_in_the_order_of_numbers(tmp_path: Path) -> None:
    environment = {f"ZTAG_AUTHORIZATION__0__POLICIES__{number}": f"p{number}" for number in range(12)}
    (rego,) = loaded(tmp_path, environment).authorization
    assert isinstance(rego, RegoSettings)
    assert rego.policies == tuple(f"p{number}" for number in range(12))


def test_a_gap_in_a_list_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, {"ZTAG_AUTHENTICATION__2__KIND": "anonymous"})
    assert message == (
        "ZTAG_AUTHENTICATION__2__KIND: there is no entry 1 before it (lists are filled from 0 without gaps)"
    )


def test_unknown_variables_are_refused_with_the_right_name(tmp_path: Path) -> None:
    message = refused(tmp_path, {"ZTAG_SERVER__WORKRES": "2", "ZTAG_LISTN__GRPC": "x"})
    assert message.splitlines() == [
        "ZTAG_LISTN__GRPC: listn: no such setting (did you mean ZTAG_LISTEN?)",
        "ZTAG_SERVER__WORKRES: server.workres: no such setting (did you mean ZTAG_SERVER__WORKERS?)",
    ]


def test_a_wrong_value_names_the_variable(tmp_path: Path) -> None:
    message = refused(tmp_path, {"ZTAG_SERVER__WORKERS": "many"})
    assert message == (
        "ZTAG_SERVER__WORKERS: server.workers: expected a whole number, got text (write digits only, e.g. 2)"
    )


def test_a_path_through_a_value_is_refused(tmp_path: Path) -> None:
    assert "leads through a value" in refused(tmp_path, {"ZTAG_AUTHENTICATION__0__KIND__X": "1"})


@pytest.mark.parametrize(
    "name",
    [
        "ZTAG_CONFIG",
        "ZTAG_SERVICE_HOST",
        "ZTAG_SERVICE_PORT",
        "ZTAG_SERVICE_PORT_GRPC",
        "ZTAG_PORT",
        "ZTAG_PORT_9191_TCP",
        "ZTAG_PORT_9191_TCP_ADDR",
        "ZTAGX",
        "HOME",
    ],
)
def test_what_is_no_setting_of_ours_is_passed_over(tmp_path: Path, name: str) -> None:
    assert loaded(tmp_path, {name: "tcp://10.0.0.1:9191"}) == loaded(tmp_path, {})


def test_tls_files_are_relative_to_the_configuration(tmp_path: Path) -> None:
    tls = loaded(tmp_path, {}, FILE + "listen:\n  tls: {certificate: a.pem, key: /k.pem}\n").listen.tls
    assert tls is not None
    assert tls.certificate == str(tmp_path / "a.pem")
    assert tls.key == "/k.pem"
    assert tls.client_ca is None
