"""`python -m k8s.verify.schema`: the chart's values.schema.json, from values.schema.yaml and ztag's settings.

A value that ztag would refuse at its start is so refused by `helm template`, before anything is installed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ztag_extauthz.settings import Settings

CHART = Path(__file__).parent.parent / "chart"
SOURCE = CHART / "values.schema.yaml"
TARGET = CHART / "values.schema.json"
PREFIX = "settings."
"""Before the names of the settings' definitions, which share one table with the chart's own."""
OWN = "listen"
"""The section that follows from the chart's own values."""


def schema() -> dict[str, Any]:
    """Return the schema of the chart's values (JSON Schema 2020-12)."""
    values: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    settings = helmed(Settings.model_json_schema())
    definitions = settings.pop("$defs")
    del settings["properties"][OWN]
    values["$defs"] |= {PREFIX + name: definition for name, definition in sorted(definitions.items())}
    values["properties"]["config"] = settings
    return dict(closed(values))


def closed(node: Any) -> Any:
    """Return the schema with every object that lists its properties refusing others, and saying which there are."""
    if isinstance(node, list):
        return [closed(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    result = {key: closed(value) for key, value in node.items()}
    if node.get("type") == "object" and "properties" in node and "allOf" not in node:
        result["additionalProperties"] = False
        result["propertyNames"] = {"enum": sorted(node["properties"])}
    return result


def helmed(node: Any) -> Any:
    """Return a model's schema as helm needs it: definitions renamed, a choice by `kind` told as if … then.

    (Of a failed `oneOf` helm prints the failures of every branch, which hides the one mistake among them.)
    """
    if isinstance(node, list):
        return [helmed(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    if "discriminator" in node:
        return chosen(node["discriminator"]["propertyName"], node["discriminator"]["mapping"])
    return {key: reference(value) if key == "$ref" else helmed(value) for key, value in node.items()}


def chosen(key: str, mapping: Mapping[str, str]) -> dict[str, Any]:
    """Return the schema of an object whose `key` says which of the definitions it follows."""
    branches = [
        {"if": {"properties": {key: {"const": value}}}, "then": {"$ref": reference(target)}}
        for value, target in mapping.items()
    ]
    return {"type": "object", "required": [key], "properties": {key: {"enum": list(mapping)}}, "allOf": branches}


def reference(target: str) -> str:
    return target.replace("#/$defs/", "#/$defs/" + PREFIX)


def text() -> str:
    """Return the file's text."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
