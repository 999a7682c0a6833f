"""A configuration with keys and policy, and the command line to run on it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from msgspec import Struct
from typer.testing import CliRunner, Result

from ztag_extauthz.cli import app
from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.demo.stack import policy_folder

ISSUER = "https://issuer.example"


class Site(Struct):
    """A folder with a configuration."""

    folder: Path
    issuer: Issuer

    @property
    def config(self) -> str:
        return str(self.folder / "ztag.yaml")

    def token(self, subject: str = "ann") -> str:
        return self.issuer.token(subject, iss=ISSUER, roles=["editor"])


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.stop()


@pytest.fixture
def site(tmp_path: Path, issuer: Issuer) -> Site:
    (tmp_path / "keys.json").write_text(json.dumps(issuer.key_set()))
    jwt = {
        "kind": "jwt",
        "issuer": ISSUER,
        "audiences": ["mesh"],
        "algorithms": ["RS256"],
        "jwks": {"file": "keys.json"},
    }
    settings = {
        "authentication": [jwt, {"kind": "anonymous"}],
        "authorization": [{"kind": "rego", "policies": [str(policy_folder())]}],
        "reporting": [{"kind": "audit"}],
    }
    (tmp_path / "ztag.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return Site(tmp_path, issuer)


@pytest.fixture
def run() -> Callable[..., Result]:
    def invoke(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin)

    return invoke
