"""Random expressions of a type, and random bodies that bind variables for the expressions behind them.

Types: num, str, bool, arr_num, arr_str, obj (strings to numbers), set_num, set_str, objs (records), any.
"""

import re
from random import Random
from typing import Final

from loadtest.conformance.inputs import FIELDS, NUMBERS, TEXTS

Scope = dict[str, str]

KINDS: Final = ("num", "num", "str", "str", "bool", "arr_num", "arr_str", "obj", "set_num", "set_str")
# Templates of calls by the type of their result: `{num}` stands for an expression of that type.
CALLS: Final = {
    "num": (
        "({num} + {num})", "({num} - {num})", "({num} * {num})", "({num} / {num})", "({num} % {num})",
        "count({arr_num})", "count({str})", "count({set_str})", "count({obj})", "sum({arr_num})", "max({set_num})",
        "min({arr_num})", "abs({num})", "round({num})", "ceil({num})", "floor({num})", "indexof({str}, {str})",
        "to_number({str})", "product({arr_num})", "bits.and({num}, {num})", "strings.count({str}, {str})",
        "object.get({obj}, {str}, {num})", "{arr_num}[{num}]", "{obj}[{str}]", "count({any})", "to_number({any})",
    ),
    "str": (
        "concat({str}, {arr_str})", 'sprintf("%v-%d", [{any}, {num}])', 'sprintf("%s", [{str}])', "upper({str})",
        "lower({str})", "substring({str}, {num}, {num})", "trim({str}, {str})", "replace({str}, {str}, {str})",
        "format_int({num}, 16)", "type_name({any})", "trim_prefix({str}, {str})", "strings.reverse({str})",
        "json.marshal({any})", "base64.encode({str})", "urlquery.encode({str})", "{arr_str}[{num}]",
        "crypto.sha256({str})", "trim_space({str})", '$"{{{num}}} and {{{any}}}"',
    ),
    "bool": (
        "startswith({str}, {str})", "endswith({str}, {str})", "contains({str}, {str})", "is_number({any})",
        "is_string({any})", "({num} > {num})", "({num} == {num})", "({str} != {str})", "({any} == {any})",
        "({any} < {any})", "{num} in {set_num}", "{str} in {arr_str}", 'regex.match("^a+b?$", {str})',
        'glob.match("/api/*", ["/"], {str})', 'glob.match("a**", [], {str})', "regex.match({str}, {str})",
        "object.subset({obj}, {obj})", "is_array({any})", "semver.is_valid({str})", "json.is_valid({str})",
        "glob.match({str}, [{str}], {str})", 'net.cidr_contains("10.0.0.0/8", {str})',
    ),
    "arr_num": (
        "[{num}, {num}]", "array.concat({arr_num}, {arr_num})", "array.slice({arr_num}, {num}, {num})",
        "sort({set_num})", "array.reverse({arr_num})", "numbers.range(count({str}), 3)", "[v | some v in {arr_num}]",
        "[w | some v in {arr_num}; v > {num}; w := v * 2]", "[v | v := {obj}[_]]", "[w | some w in {set_num}]",
    ),
    "arr_str": (
        "[{str}]", "split({str}, {str})", "sort({set_str})", "array.concat({arr_str}, {arr_str})",
        "[upper(v) | some v in {arr_str}]", "[k | some k, _ in {obj}]", 'regex.find_n("[a-c]", {str}, -1)',
        "[v.name | some v in {objs}]", "[v | some v in {arr_str}; v != {str}]",
    ),
    "obj": (
        "{{{str}: {num}}}", "object.union({obj}, {obj})", "object.remove({obj}, [{str}])",
        "object.filter({obj}, {set_str})", "{{k: v | some k, v in {obj}; v >= {num}}}",
        "{{v: count(v) | some v in {arr_str}}}", "json.remove({obj}, [{str}])",
    ),
    "set_num": (
        "{{{num}, {num}}}", "({set_num} | {set_num})", "({set_num} & {set_num})", "({set_num} - {set_num})",
        "{{v | some v in {arr_num}}}", "union({{{set_num}, {set_num}}})", "{{v | some v in {arr_num}; not v == {num}}}",
    ),
    "set_str": (
        "{{{str}}}", "({set_str} | {set_str})", "({set_str} - {set_str})", "object.keys({obj})",
        "{{v | some v in {arr_str}}}", "{{k | {obj}[k] > {num}}}", "{{k | some k; {obj}[k]}}",
    ),
    "objs": ("input.q", '[{{"id": {num}, "name": {str}}}]', "[r | some r in input.q; r.id > {num}]"),
    "any": (
        "{num}", "{str}", "{bool}", "{arr_num}", "{obj}", "{set_num}", "input.x", "null", "input.x.a", "input.x[0]",
    ),
}  # fmt: skip
# What a body may be made of: a line, and the variable (of a type) that it binds.
LINES: Final = (
    ("{bool}", ""), ("{bool}", ""), ("not {bool}", ""), ("{num} > {num}", ""), ("{any} == {any}", ""),
    ("not {num} > {num}", ""), ("not {str} in {set_str}", ""), ("not {any} == {any}", ""), ("{num} != {num}", ""),
    ("# := {num}", "num"), ("# := {str}", "str"), ("# := {arr_num}", "arr_num"), ("# := {obj}", "obj"),
    ("# := {set_str}", "set_str"), ("some # in {arr_num}", "num"), ("some # in {set_str}", "str"),
    ("some # in {arr_str}", "str"), ("some #, _ in {obj}", "str"), ("some _, # in {obj}", "num"),
    ("# := {arr_num}[_]", "num"), ("some @; # := {obj}[@]", "num"), ("{obj}[#]", "str"), ("{set_num}[#]", "num"),
    ("every v in {arr_num} {{ v > {num} }}", ""), ("every k, v in {obj} {{ k != {str}; v < {num} }}", ""),
    ("count({arr_str}) > {num}", ""), ("[#, _] = {arr_num}", "num"), ('{{"id": #}} = {objs}[_]', "num"),
    ("# = {num}", "num"), ("some #; {arr_num}[#] == {num}", "num"), ("walk({obj}, [_, #])", "any"),
    ('some {{"id": #, "name": _}} in {objs}', "num"), ("{bool} == {bool}", ""), ("# := {objs}[_].name", "str"),
    ("not {objs}[0].id", ""), ("not input.o.zz", ""), ("input.ls[_] == {str}", ""), ("is_null({any})", ""),
)  # fmt: skip


_PLACE: Final = re.compile(r"\{([a-z]+(?:_[a-z]+)?)\}")
_OWN: Final = re.compile(r"\b[kvwr]\b")


def _unescaped(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


class Expressions:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.rules: dict[str, str] = {}
        self.functions: dict[str, tuple[str, str]] = {}
        self.count = 0

    def kind(self) -> str:
        return self.random.choice(KINDS)

    def constant(self, kind: str) -> str:  # noqa: PLR0911 (a return for each type)
        random = self.random
        if kind == "num":
            return random.choice(NUMBERS)
        if kind == "str":
            return '"' + random.choice(TEXTS) + '"'
        if kind == "bool":
            return random.choice(("true", "false"))
        if kind == "obj":
            return f'{{"{random.choice(TEXTS)}": {random.choice(NUMBERS)}}}'
        if kind == "objs":
            return f'[{{"id": {random.choice(NUMBERS)}, "name": "{random.choice(TEXTS)}"}}]'
        if not kind.startswith(("set_", "arr_")):
            return self.constant(random.choice(("num", "str", "bool")))
        inner = ", ".join(self.constant(kind[4:]) for _ in range(random.randint(0, 3)))
        if kind.startswith("arr_"):
            return f"[{inner}]"
        return f"{{{inner}}}" if inner else "set()"

    def make(self, kind: str, depth: int, scope: Scope) -> str:
        """Make an expression of a type, no deeper than that, of what is in scope."""
        choices = [name for name, held in scope.items() if held == kind]
        roll = self.random.random()
        if choices and roll < 0.4:
            return self.random.choice(choices)
        if roll < 0.55 or depth <= 0:
            return self._leaf(kind)
        if roll < 0.62:
            return self._called(kind, depth, scope)
        return self.fill(self.random.choice(CALLS[kind]), depth - 1, scope)

    def _leaf(self, kind: str) -> str:
        fields = [f"input.{name}" for name, held in FIELDS.items() if held == kind]
        rules = [name for name, held in self.rules.items() if held == kind]
        roll = self.random.random()
        if rules and roll < 0.3:
            return self.random.choice(rules)
        if fields and roll < 0.75:
            return self.random.choice(fields)
        return self.constant(kind)

    def _called(self, kind: str, depth: int, scope: Scope) -> str:
        names = [name for name, (_, result) in self.functions.items() if result == kind]
        if not names:
            return self._leaf(kind)
        name = self.random.choice(names)
        return f"{name}({self.make(self.functions[name][0], depth - 1, scope)})"

    def fill(self, template: str, depth: int, scope: Scope) -> str:
        # The odd pieces are the types; in the others a brace is written twice.
        pieces = _PLACE.split(self._renamed(template))
        for place, piece in enumerate(pieces):
            pieces[place] = self.make(piece, depth, scope) if place % 2 else _unescaped(piece)
        return "".join(pieces)

    def _renamed(self, template: str) -> str:
        """Give the variables of a comprehension names of their own, but now and then those of others."""
        self.count += 1
        if self.random.random() < 0.1:
            return template
        return _OWN.sub(lambda match: f"{match[0]}{self.count}", template)

    def body(self, length: int, parameters: Scope | None = None) -> tuple[tuple[str, ...], Scope]:
        scope = dict(parameters or {})
        lines = []
        for _ in range(length):
            template, kind = self.random.choice(LINES)
            self.count += 1
            name = f"x{self.count}"
            line = self.fill(template, 2, scope).replace("#", name).replace("@", f"y{self.count}")
            if line in ("true", "not true"):
                # OPA drops a lone `true` with its `not` and its `with` where the head has a reference.
                line = "not false"
            if self.random.random() < 0.06 and not kind:
                line += self._with(scope)
            lines.append(line)
            if kind:
                scope[name] = kind
        if self.random.random() < 0.1:
            self.random.shuffle(lines)
        return tuple(lines), scope

    def _with(self, scope: Scope) -> str:
        name = self.random.choice(list(FIELDS))
        replaced = f" with input.{name} as {self.make(FIELDS[name], 1, scope)}"
        rules = [rule for rule, kind in self.rules.items() if kind in ("num", "str", "bool")]
        if rules and self.random.random() < 0.4:
            rule = self.random.choice(rules)
            replaced += f" with data.t.{rule} as {self.make(self.rules[rule], 1, scope)}"
        return replaced
