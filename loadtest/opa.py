"""The opa binary that others are compared with."""

import argparse
from pathlib import Path

from tests.authorization.engines.opa_servers import REAL


def find_opa() -> Path | None:
    """Return the binary that the environment's `OPA` names, or the one on the path."""
    return Path(REAL) if REAL else None


def add_opa(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the option `--opa`; a program that needs one ends with 2 where there is none."""
    found = find_opa()
    needed = required and found is None
    what = "the opa binary; else the environment's OPA, else `opa` of the path"
    parser.add_argument("--opa", type=Path, default=found, required=needed, help=what)
