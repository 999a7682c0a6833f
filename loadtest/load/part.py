"""What the parts of a load test share: the workload, how much is asked, and servers, started when one needs them."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import track

from loadtest.load.traces import Traces
from loadtest.peers import servers as peers
from loadtest.report.figures import CONSTANT, GRPCIO, GUARDED, UNCACHED, ZTAG
from loadtest.servers import Own, Target
from loadtest.workload import Workload

CONSOLE: Final = Console() if Console().is_terminal else Console(width=140)
_T = TypeVar("_T")


class Part:
    """What a measuring function is given."""

    def __init__(self, load: Workload, stack: ExitStack, rounds: int, requests: int, seconds: float) -> None:
        self.load = load
        self.stack = stack
        self.rounds = rounds
        self.requests = requests
        self.seconds = seconds

    @cached_property
    def servers(self) -> Sequence[Target]:
        """Everything that answers gRPC; the first one is what others are compared with."""
        own = [
            Own(ZTAG, "h2corn", self.load),
            Own(UNCACHED, "h2corn", self.load, settings=self.load.uncached),
            Own(GUARDED, "h2corn", self.load, settings=self.load.guarded),
            Own(GRPCIO, "grpcio", self.load),
            Own(CONSTANT, "h2corn", self.load, "constant"),
        ]
        for target in own:
            self.stack.callback(target.close)
        return [*peers.targets(self.stack, self.load), *own]

    def only(self, *names: str) -> Sequence[Target]:
        """Return the servers of these names, as far as they are there, to be asked what the workload has."""
        found = [target for target in self.servers if target.name in names]
        for target in found:
            target.renew(self.load.messages)
        return found

    @cached_property
    def traces(self) -> Traces:
        return Traces(self.load.issuer, self.requests)

    def shown(self, turns: Iterable[_T], what: str) -> Iterable[_T]:
        """Tell whoever looks on how far it is."""
        return track(turns, what, console=CONSOLE, transient=True)
