"""Random inputs: of the shape that the policies expect, with parts missing, of another type, or odd."""

from random import Random
from typing import Any, Final

from ztag_extauthz.rego.documents import parse_number

NUMBERS: Final = ("0", "1", "2", "3", "-1", "1.0", "0.5", "10", "1e3", "9007199254740993", "-0", "0.1", "100")
TEXTS: Final = (
    "", "a", "b", "ab", "abc", "admin", "/api/x", "/api/x/y", "é", "ö/ß", "1", "GET", "a.b", "a.b.c", "A", "👍", "x y",
)  # fmt: skip
FIELDS: Final = {
    "n": "num", "m": "num", "s": "str", "u": "str", "b": "bool", "ln": "arr_num", "ls": "arr_str", "o": "obj",
    "q": "objs", "x": "any",
}  # fmt: skip

_KINDS: Final = ("num", "str", "bool", "null", "arr_num", "arr_str", "obj", "objs")


def random_value(random: Random, kind: str, depth: int = 2) -> Any:  # noqa: PLR0911 (a return for each type)
    if kind == "any" or random.random() < 0.04:
        kind = random.choice(
            ("num", "str", "bool", "null", "arr_num", "arr_str", "obj", "objs") if depth else ("num", "str")
        )
    if kind == "num":
        return parse_number(random.choice(NUMBERS))
    if kind == "str":
        return random.choice(TEXTS)
    if kind == "bool":
        return random.random() < 0.5
    if kind.startswith("arr_"):
        return [random_value(random, kind[4:], depth - 1) for _ in range(random.randint(0, 4))]
    if kind == "obj":
        return {random.choice(TEXTS): random_value(random, "num", depth - 1) for _ in range(random.randint(0, 3))}
    if kind == "objs":
        return [_record(random) for _ in range(random.randint(0, 3))]
    return None


def _record(random: Random) -> dict[str, Any]:
    record = {"id": random_value(random, "num", 0), "name": random_value(random, "str", 0)}
    if random.random() < 0.3:
        record.pop(random.choice(("id", "name")))
    return record


def random_input(random: Random) -> Any:
    if random.random() < 0.02:
        return random_value(random, "any")
    return {name: random_value(random, kind) for name, kind in FIELDS.items() if random.random() < 0.85}
