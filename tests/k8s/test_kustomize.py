"""The kustomize tree says what the chart says, and is valid."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.verify import kustomize, rendering, schemas

KUBECTL = Path(sys.executable).parent / "kubectl"


@cache
def built(folder: str) -> list[dict[str, Any]]:
    command = [str(KUBECTL), "kustomize", str(kustomize.TREE / folder)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 - our own files
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_the_base_is_the_chart() -> None:
    assert kustomize.plain(built("base")) == kustomize.plain(rendering.render({}))


@pytest.mark.parametrize("overlay", kustomize.OVERLAYS)
def test_an_overlay_is_the_chart_with_the_values_of_its_name(overlay: str) -> None:
    assert kustomize.plain(built(f"overlays/{overlay}")) == kustomize.plain(
        rendering.render(kustomize.overlay_values(overlay))
    )


@pytest.mark.parametrize("overlay", kustomize.OVERLAYS)
def test_what_an_overlay_builds_is_valid(overlay: str) -> None:
    objects = [found for found in built(f"overlays/{overlay}") if not schemas.is_custom(found)]
    assert [problem for found in objects for problem in schemas.problems(found)] == []


def test_a_changed_configuration_rolls_the_pods() -> None:
    """The generated ConfigMap's name ends in a digest, and the pods refer to it by that name."""
    objects = built("base")
    names = {found["metadata"]["name"] for found in objects if found["kind"] == "ConfigMap"}
    volumes = rendering.named(objects, "Deployment", "ztag")["spec"]["template"]["spec"]["volumes"]
    assert {volume["configMap"]["name"] for volume in volumes if "configMap" in volume} == names
    assert all(kustomize.HASH.search(name) for name in names)
