"""The chart, rendered by helm's own library, without a cluster or the `helm` program."""

from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).parent.parent / "chart"
Object = dict[str, Any]


@cache
def chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def files(values: Object, name: str = "ztag", namespace: str = "ztag-system") -> dict[str, str]:
    """Return each template's text; raises `helm_python.HelmError` with helm's own message."""
    chart().validate_schema(chart().merge_values(values))
    return chart().render(values, name=name, namespace=namespace)


def render(values: Object, name: str = "ztag", namespace: str = "ztag-system") -> list[Object]:
    """Return the objects that a release of these values has."""
    rendered = files(values, name, namespace)
    texts = [text for path, text in sorted(rendered.items()) if path.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def notes(values: Object, namespace: str = "ztag-system") -> str:
    """Return what helm prints after an installation."""
    return next(text for path, text in files(values, namespace=namespace).items() if path.endswith("NOTES.txt"))


def named(objects: list[Object], kind: str, name: str) -> Object:
    """Return the one object of a kind and name."""
    found = [entry for entry in objects if (entry["kind"], entry["metadata"]["name"]) == (kind, name)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} objects are {kind}/{name}")
    return found[0]
