"""`python -m k8s.verify [FOLDER]`: everything here, once more, by the tools that platform teams use.

FOLDER holds helm, kubeconform, istioctl, istiod-sidecar and checkov; left out, tools.sh builds them. Prints a line a
check, and exits with 1 if one of them finds something.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from k8s.verify import commands, istiod
from k8s.verify.cases import RIGHT, WRONG
from k8s.verify.commands import Tools
from k8s.verify.kustomize import OVERLAYS, overlay_values
from k8s.verify.rendering import CHART
from k8s.verify.schemas import NEWEST

NO_OBJECTS = {"values.yaml", "envoy.yaml", "prometheus-adapter.yaml"}
EXAMPLES = [file for file in sorted((CHART.parent / "examples").glob("**/*.yaml")) if file.name not in NO_OBJECTS]
SCHEMAS = (commands.OLDEST, NEWEST)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else built()
    tools = Tools(folder)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ztag-verify-") as name:
        work = Path(name)
        manifests = work / "manifests"
        manifests.mkdir()

        def right(case: str) -> list[str]:
            return commands.right(tools, RIGHT[case], manifests / f"{case}.yaml", work)

        def overlay(case: str) -> list[str]:
            return commands.right(tools, overlay_values(case), manifests / f"overlay {case}.yaml", work)

        failed += each("rendered and linted", RIGHT, right)
        failed += each("values of the overlays", OVERLAYS, overlay)
        for file in EXAMPLES:
            (manifests / f"example {file.name}").write_bytes(file.read_bytes())
        conform = commands.kubeconform
        failed += each("schemas", SCHEMAS, lambda version: conform(tools, manifests, version, work))
        failed += each("refused with the remedy", WRONG, lambda case: commands.wrong(tools, *WRONG[case], work))
        failed += each("istioctl", commands.MESHES, lambda case: commands.istioctl(tools, commands.MESHES[case], work))
        failed += each("ztag wire istio", commands.WISHES, lambda it: commands.wired(tools, commands.WISHES[it], work))
        failed += each("istiod's filters", istiod.PROXIES, lambda name: istiod.stale(folder, name))
        failed += each("checkov", ["everything"], lambda _: commands.checkov(tools, RIGHT["everything"], work))
    print("failed:", failed)
    return 1 if failed else 0


def built() -> Path:
    script = Path(__file__).parent / "tools.sh"
    return Path(subprocess.run([str(script)], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def each(what: str, cases: Collection[str], check: Callable[[str], list[str]]) -> int:
    """Run one check over its cases; return how many found something."""
    found = {case: problems for case in cases if (problems := check(case))}
    count = len(cases)
    print(f"{what}: {count - len(found)} of {count}", flush=True)
    for case, problems in found.items():
        print(f"  {case}:", *problems, sep="\n    ")
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
