"""Both engines beside each other: `python -m loadtest.conformance.engines [--policies 300] [--opa PATH]`.

The example policies with their inputs, and random policies with random ones, each asked of the embedded engine and, by
`engine: opa`, of a real OPA on a UNIX socket that ztag puts the policies on. Exit code 1: an answer differs.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console

from loadtest.conformance.generator import example
from loadtest.opa import add_opa
from loadtest.rego_bench import POLICIES
from tests.authorization.engines.opa_servers import real
from ztag_extauthz.authorization.bundle.files import Bundle, load
from ztag_extauthz.authorization.engines.embedded import Embedded
from ztag_extauthz.authorization.engines.interface import PolicyEngine, Version
from ztag_extauthz.authorization.engines.opa import build
from ztag_extauthz.authorization.engines.opa_settings import OpaSettings
from ztag_extauthz.errors import CheckError, EvaluationError, PolicyError
from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.values import UNDEFINED, equal

console = Console()
Item = tuple[Bundle, str, list[Any]]


def examples() -> Iterator[Item]:
    """Yield each example policy with the decisions of its package and the inputs beside it."""
    for folder in sorted(path for path in POLICIES.iterdir() if path.is_dir()):
        loaded = load((str(folder),), Path.cwd())
        package = next(iter(loaded.modules.values())).partition("package ")[2].split()[0].replace(".", "/")
        inputs = [loads(path.read_text()) for path in folder.glob("input.json")]
        yield loaded, package, [{}, {"parsed_path": ["a"], "identity": {"claims": {}}}, *inputs]


def generated(policies: int) -> Iterator[Item]:
    for number in range(policies):
        _, question = example(number)
        digest = blake2b(repr(question).encode(), digest_size=16).digest()
        loaded = Bundle(question.modules, question.data or {}, Version(str(number), digest))
        for query in question.queries:
            yield loaded, query.removeprefix("data.").replace(".", "/"), list(question.inputs)


async def answer(engine: PolicyEngine, document: Any) -> Any:
    try:
        return await engine.ask(document, monotonic() + 20)
    except EvaluationError:
        return "error"
    except CheckError as error:
        return error


async def compare(items: Iterator[Item], url: str) -> Counter[str]:
    tally: Counter[str] = Counter()
    for loaded, decision, inputs in items:
        try:
            ours = Embedded(loaded.modules, loaded.data, decision, version=loaded.version)
        except PolicyError:
            tally["refused at load"] += 1
            continue
        if ours.reads().impure:
            tally["another answer at another time"] += 1
            continue
        theirs = build(OpaSettings(url=url, timeout=20), loaded, decision, Path())
        await theirs.start()
        for document in inputs:
            found, wanted = await answer(ours, document), await answer(theirs, document)
            kind = _kind(found, wanted)
            tally[kind] += 1
            if kind == "differs":
                console.print(
                    f"{decision} of {dumps(document)[:200]}: {_text(found)}, OPA: {_text(wanted)}", markup=False
                )
        await theirs.close()
    return tally


def _kind(ours: Any, theirs: Any) -> str:
    if ours is UNDEFINED or theirs is UNDEFINED or "error" in (ours, theirs) or isinstance(theirs, CheckError):
        return "equal" if ours is theirs or ours == theirs else "differs"
    # OPA's answers come as JSON: sets as arrays, names as strings.
    return "equal" if equal(loads(dumps(ours)), theirs) else "differs"


def _text(value: Any) -> str:
    return repr(value) if value is UNDEFINED or isinstance(value, Exception) else dumps(value)[:200]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_opa(parser)
    parser.add_argument("--policies", type=int, default=300, help="random ones")
    arguments = parser.parse_args()
    opa = arguments.opa
    differs = 0
    for name, items in (("examples", examples()), ("random", generated(arguments.policies))):
        with tempfile.TemporaryDirectory() as folder, real(Path(folder), opa) as url:
            tally = asyncio.run(compare(items, url))
        differs += tally["differs"]
        console.print(f"{name}: {', '.join(f'{kind} {count:,}' for kind, count in tally.most_common())}")
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
