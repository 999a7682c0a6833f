"""Objects against the schemas of their kinds, unknown fields refused.

The core kinds' schemas come with `kubernetes-validate`. Those of custom resources are in the folder that
CRD_SCHEMAS names: GROUP/KIND_VERSION.json, closed.
"""

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]

NEWEST = "1.37"
"""Of the Kubernetes versions whose schemas come with `kubernetes-validate`."""


@cache
def custom_resources() -> Path | None:
    """Return the folder of the custom resources' schemas, if the environment names one."""
    named = os.environ.get("CRD_SCHEMAS")
    return Path(named) if named else None


def is_custom(found: dict[str, Any]) -> bool:
    group = found["apiVersion"].partition("/")[0]
    return ("." in group and not group.endswith(".k8s.io")) or group.startswith("gateway.")


def problems(found: dict[str, Any], version: str = NEWEST) -> list[str]:
    """Return what is wrong with an object in a version of Kubernetes."""
    return list(_custom(found) if is_custom(found) else _core(json.dumps(found), version))


@cache  # most objects are the same in most cases
def _core(text: str, version: str) -> tuple[str, ...]:
    try:
        kubernetes_validate.validate(json.loads(text), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return (f"{'.'.join(map(str, error.path))}: {error.message}",)
    return ()


def _custom(found: dict[str, Any]) -> Iterator[str]:
    folder = custom_resources()
    if folder is None:
        raise LookupError("no schemas of custom resources: set CRD_SCHEMAS to their folder")
    validator = _validator(folder, found["apiVersion"], found["kind"])
    if validator is None:
        yield f"no schema of {found['apiVersion']} {found['kind']}"
        return
    for error in validator.iter_errors(found):
        yield f"{error.json_path}: {error.message}"


@cache
def _validator(folder: Path, api_version: str, kind: str) -> jsonschema.Draft7Validator | None:
    group, _, version = api_version.rpartition("/")
    path = folder / group / f"{kind.lower()}_{version}.json"
    if not path.is_file():
        return None
    schema = json.loads(path.read_text(encoding="utf-8"))
    return jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
