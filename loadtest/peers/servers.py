"""The peers that answer gRPC."""

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack

from loadtest.opa import find_opa
from loadtest.peers import opa_envoy, sidecar
from loadtest.report.figures import PLUGIN, PLUGIN_AS_IT_COMES, SIDECAR
from loadtest.servers import Target
from loadtest.workload import Workload


def targets(parts: ExitStack, load: Workload) -> Sequence[Target]:
    """Start the peers that can be had here, the one that others are compared with first; `parts` ends them.

    The plugin takes Go (or `CACHE`, a folder that has it built), the sidecar an `opa` (`OPA`, or on the path).
    """
    found: list[Target] = []
    if shutil.which("go") or os.environ.get("CACHE"):
        for name, best in ((PLUGIN, True), (PLUGIN_AS_IT_COMES, False)):
            peer = parts.enter_context(opa_envoy.started(load, best=best))
            found.append(Target(name, peer.address, peer.pid, load.messages))
            parts.callback(found[-1].close)
    if binary := find_opa():
        found.append(parts.enter_context(sidecar.started(binary, load, SIDECAR)))
    return found
