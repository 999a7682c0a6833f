"""What is told of the settings elsewhere: the reference, the schema, `show`."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ztag_extauthz.section import Section
from ztag_extauthz.settings import Settings, load
from ztag_extauthz.settings.fields import sections_in
from ztag_extauthz.settings.loading import read
from ztag_extauthz.settings.reference import _anchor, reference
from ztag_extauthz.settings.show import as_lines, as_yaml

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "envoy/ztag.yaml"


def sections(section: type[Section]) -> Iterator[type[Section]]:
    yield section
    for field in section.model_fields.values():
        for inner in sections_in(field.annotation):
            yield from sections(inner)


def test_the_reference_is_fresh() -> None:
    """`make docs` writes it."""
    assert (ROOT / "docs/configuration.md").read_text() == reference()


def test_every_heading_is_there_once_and_every_link_leads_to_one() -> None:
    page = reference()
    anchors = [_anchor(line.lstrip("# ")) for line in page.splitlines() if line.startswith("#")]
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= set(anchors)


@pytest.mark.parametrize("section", dict.fromkeys(sections(Settings)), ids=lambda section: section.__name__)
def test_every_setting_is_described(section: type[Section]) -> None:
    assert section.__doc__
    described = {name for name, field in section.model_fields.items() if field.description or name == "kind"}
    holds_sections = {name for name, field in section.model_fields.items() if list(sections_in(field.annotation))}
    assert set(section.model_fields) <= described | holds_sections


def test_what_is_shown_is_a_configuration_that_gives_the_same(tmp_path: Path) -> None:
    settings = load(EXAMPLE, {})
    again = tmp_path / "ztag.yaml"
    again.write_text(as_yaml(settings))
    assert load(again, {}) == settings


def test_lines_say_where_a_value_came_from() -> None:
    environment = {"ZTAG_SERVER__WORKERS": "2"}
    lines = as_lines(load(EXAMPLE, environment), read(EXAMPLE, environment))
    origin = {line.split()[0]: line.split()[-1] for line in lines}
    assert origin["server.workers"] == "ZTAG_SERVER__WORKERS"
    assert origin["server.engine"] == "default"
    assert origin["listen.grpc"] == f"{EXAMPLE}:3"


def test_the_schema_refuses_unknown_keys() -> None:
    schema = Settings.model_json_schema()
    assert schema["additionalProperties"] is False
    assert {"authentication", "authorization"} <= set(schema["required"])


def test_the_example_of_the_reference_loads(tmp_path: Path) -> None:
    example = reference().split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "ztag.yaml"
    path.write_text(example)
    assert load(path, {}).authentication[0].kind == "jwt"
    assert yaml.safe_load(example)["authorization"][0]["kind"] == "rego"
