"""Whatever a built-in is given: an answer, or one of the engine's errors, and soon."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.builtins.interface import Builtin, Context
from ztag_extauthz.rego.documents import parse_number
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError
from ztag_extauthz.rego.values import Value, make_set

DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]

HOSTILE: list[Value] = [
    None, True, 0, -1, 2**63, -(2**70), parse_number("-0"), parse_number("1.0"), parse_number("1e-3999"),
    parse_number("1e3999"), parse_number("0." + "3" * 3000), "", "a" * 5000, "9" * 5000, "-" + "9" * 5000 + ".5",
    "1.0.0-" + "9" * 5000, "9" * 5000 + "h", "1e99999", "(" * 900, "{" * 900, "[" * 900, "*" * 900, "%" * 900,
    "%9999999999d", "%[99999999999999999999]d", "\udc80\udcff", "\x00", "{{", "}}", "é" * 100,
    "10.0.0.0/" + "9" * 50,
    "a.b.c", "eyJhbGciOiJIUzI1NiJ9.e30.AA", "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----",
    '{"kty": "RSA", "n": "AA", "e": "AA"}', '{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}',
    "http://[::1", "2006-01-02",
    [], DEEP, [1, "a", None, [DEEP]], ["a"] * 1000, {}, {"a": {"b": DEEP}}, {"secret": "x", "time": 1},
    {"alg": "HS256"},
    frozenset(), make_set([1, "a", [2]]), make_set(["a", "b"]), [[9] * 3, 1], [2**62, "UTC", "999"], {"cert": "{}"},
    [{"op": "add", "path": "/" * 500, "value": 1}], {"kty": "oct", "k": "AA"}, {"keys": "x"},
    [2**62, "../../etc/passwd"],
]  # fmt: skip
FEW = HOSTILE[::5]


def arguments(known: Builtin) -> Any:
    count = len(known.signature[1 : known.signature.rindex(") =>")].split(", ")) if known.signature[1] != ")" else 0
    arity = known.function.__code__.co_argcount - known.context
    assert arity <= max(count, arity)
    return product(HOSTILE, *[FEW] * (arity - 1)) if 0 < arity < 3 else product(FEW, repeat=arity)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_builtin_answers_or_says_why_not(name: str) -> None:
    """No argument makes a built-in raise anything else, or think for long."""
    known = REGISTRY[name]
    for values in arguments(known):
        try:
            result = known.function(*([Context(now_ns=1)] if known.context else []), *values)
            if known.relation:
                list(result)
        except (BuiltinError, EvaluationError):
            pass
        except Exception as error:  # noqa: BLE001 (that is what is looked for)
            pytest.fail(f"{name}{values!r:.300}: {error!r:.300}")
