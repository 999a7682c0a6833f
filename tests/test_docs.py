"""The documentation tells the truth: links lead somewhere, metrics are all listed, named tests exist."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ztag_extauthz.cli.check import check_request_of
from ztag_extauthz.cli.common import resources_for
from ztag_extauthz.cli.trace import trace
from ztag_extauthz.meter import METRICS, Metric, Name
from ztag_extauthz.settings import load
from ztag_extauthz.wiring import build

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")])
POLICIES = (ROOT / "docs/policies.md").read_text()
TESTS = "\n".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py"))


def metric_row(name: Name, metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    shown = f"{name}_total" if metric.kind == "counter" else name
    return f"| `{shown}` | {metric.kind} | {labels} | {metric.help} |"


def metrics_table() -> str:
    rows = [metric_row(name, metric) for name, metric in METRICS.items()]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows])


def test_the_readme_says_what_the_load_test_measured() -> None:
    report = (ROOT / "loadtest/report/report.md").read_text()
    table = re.search(r"^## Summary\n\n.*?\n\n(\|.*?\n)\n", report, re.MULTILINE | re.DOTALL)
    assert table
    assert table[1] in (ROOT / "README.md").read_text(), (
        "python -m loadtest.report copies the summary of the report into README.md"
    )


def test_operations_lists_every_metric() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    section = re.search(r"<!-- metrics: begin[^>]*-->\n(.*)\n<!-- metrics: end -->", page, re.DOTALL)
    assert section is not None
    assert section[1] == metrics_table()


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    names = {re.split(r"[\[<>=]", line)[0] for line in wanted} - {project["name"]}
    page = (ROOT / "docs/dependencies.md").read_text()
    assert [name for name in sorted(names) if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)] == []


@pytest.mark.parametrize(("page", "policy"), [("README.md", "policy/authz.rego"), ("docs/policies.md", "shop.rego")])
def test_the_example_of_a_page_runs_as_written(page: str, policy: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text()
    (tmp_path / policy).parent.mkdir(exist_ok=True)
    for name, language in ((policy, "rego"), ("ztag.yaml", "yaml")):
        block = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
        assert block is not None
        (tmp_path / name).write_text(block[1])
    assert build(load(tmp_path / "ztag.yaml", {}), resources_for(tmp_path)).pipeline.authorizers


def test_the_token_of_the_page_is_allowed_what_the_page_says(tmp_path: Path) -> None:
    policy, python = (re.search(rf"```{of}\n(.*?)```", POLICIES, re.DOTALL) for of in ("rego", "python"))
    first, kind = re.findall(r"```yaml\n(.*?)```", POLICIES, re.DOTALL)[:2]
    assert policy
    assert python
    (tmp_path / "shop.rego").write_text(policy[1])
    (tmp_path / "ztag.yaml").write_text(first.replace("authentication:\n", f"authentication:\n{kind}"))
    command = [sys.executable, "-c", python[1]]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603 - our page
    options = {"path": "/catalogue", "host": "localhost", "body": "", "principal": ""}
    header = [f"authorization: Bearer {made.stdout.strip()}"]
    for staff, outcome in ((header, "allow"), ([], "deny")):
        asked = check_request_of(None, "PUT", header=staff, **options)
        found = trace(load(tmp_path / "ztag.yaml", {}), resources_for(tmp_path), asked, 5.0, with_values=False)
        assert found.outcome == outcome


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_tests_exist(page: Path) -> None:
    names = re.findall(r"`(test_[a-z0-9_]+)…?`", page.read_text())
    assert [name for name in names if name not in TESTS] == []
