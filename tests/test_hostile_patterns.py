"""Every regular expression that reads what a caller writes takes linear time: long hostile text is done at once."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Final

import pytest

from ztag_extauthz import fields, traits
from ztag_extauthz.admission import well_formed
from ztag_extauthz.authorization.input import go_multipart, go_url, opa_body
from ztag_extauthz.authorization.risk import features
from ztag_extauthz.envoy import problem, request
from ztag_extauthz.rego import documents, values
from ztag_extauthz.rego.builtins import encoding, json_paths, net, semver, sprintf, types, units, urls, uuids
from ztag_extauthz.rego.builtins.golang import bigfloat, duration, layout, parse_time, regexps, url
from ztag_extauthz.rego.builtins.jose import keys
from ztag_extauthz.rego.runtime import evaluation
from ztag_extauthz.reporting import masking

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES: Final = (
    *(fields, traits, well_formed, go_multipart, go_url, opa_body, features, problem, request, documents, evaluation),
    *(values, encoding, json_paths, net, semver, sprintf, types, units, urls, uuids, bigfloat, duration, layout),
    *(parse_time, regexps, url, keys, masking),
)
PATTERNS: Final = {
    f"{module.__name__}.{name}": (pattern, inspect.getsource(module))
    for module in MODULES
    for name, pattern in vars(module).items()
    if isinstance(pattern, re.Pattern) and pattern is not encoding._PIECE  # it reads what `dumps` has written
} | {f"{well_formed.__name__}: {name}": (pattern, "pattern.search(") for name, pattern in well_formed._SPELLINGS}

LENGTH: Final = 25_000
SEEDS: Final = (
    *(" ", "\t", "\r\n", "\\", '"', '"\\', "0", "9", "a", "A", "Z", ".", "/", ";", "=", "%", "%2", "+", "-", "_", "$"),
    *(
        "eyJ",
        "a.",
        "a/",
        "a=b;",
        ' ;\t"',
        "/a",
        "/.",
        "é",
        "\ud800",
        "9.",
        "9e",
        "1h",
        "a: b\r\n",
        "a: b\r\n ",
        "[",
        "]",
    ),
    *("-----BEGIN A-----", "-----BEGIN A-----\n-----END B-----", "9" * 4000 + "a", "Version/1 ", "\\C", "{"),
)
STARTS: Final = ("", "a:b\r\n", "a:b\r\n ", "1", "/", '"', "-----BEGIN A", "bearer ", "a=")
SEARCHING: Final = ("search", "findall", "finditer", "sub")


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.timeout(30)
def test_a_pattern_takes_linear_time(name: str) -> None:
    """Asked as its module asks it: a search has more beginnings to try than a match."""
    pattern, source = PATTERNS[name]
    own = "pattern" if ": " in name else name.rpartition(".")[2]
    searched = any(f"{own}.{how}(" in source for how in SEARCHING)
    asked: list[Callable[..., object]] = [pattern.match, pattern.fullmatch]
    asked += [pattern.findall] if searched else []
    for seed in SEEDS:
        for start in STARTS:
            text = start + seed * (LENGTH // len(seed)) + "\0"
            given = text.encode("utf-8", "surrogatepass") if isinstance(pattern.pattern, bytes) else text
            for ask in asked:
                ask(given)
