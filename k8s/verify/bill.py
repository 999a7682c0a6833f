"""`python k8s/verify/bill.py ENVIRONMENT`: the bill of materials of an installed environment (CycloneDX 1.6).

Runs with Python alone, since an image is built where nothing else is.
"""

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any


def bill(environment: Path) -> dict[str, Any]:
    """Return what the environment holds."""
    folder = next(environment.glob("lib/python*/site-packages"))
    found = sorted(distributions(path=[str(folder)]), key=lambda entry: entry.name)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [_component(it) for it in found],
    }


def _component(found: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", found.name).lower()
    component = {"type": "library", "name": name, "version": found.version, "purl": f"pkg:pypi/{name}@{found.version}"}
    licences = found.metadata.get_all("License-Expression") or []
    return {**component, "licenses": [{"expression": text} for text in licences]} if licences else component


if __name__ == "__main__":
    print(json.dumps(bill(Path(sys.argv[1])), indent=1))
