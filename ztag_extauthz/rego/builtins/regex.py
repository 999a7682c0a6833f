"""Regular expressions, in RE2's syntax and time."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ztag_extauthz.rego.builtins.globs.intersection import intersects
from ztag_extauthz.rego.builtins.golang.linear import linear_matcher
from ztag_extauthz.rego.builtins.golang.regexps import (
    RegexError,
    bounded,
    compiled,
    expand,
    find_all,
    quote_meta,
    refuse_inner_boundary,
    split,
    template,
)
from ztag_extauthz.rego.builtins.golang.text import readable, to_bytes, to_text
from ztag_extauthz.rego.builtins.interface import (
    NOT_CONSTANT,
    Context,
    builtin,
    check_size,
    integer,
    string,
)
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value


def _compile(pattern: str, *, captures: bool = False) -> Any:
    if len(pattern) > 100_000:
        raise BuiltinError("error parsing regexp: the pattern is too long")
    try:
        return compiled(readable(pattern), captures=captures)
    except RegexError as error:
        raise BuiltinError(str(error)) from None


@lru_cache(maxsize=1024)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Make the quickest function that gives RE2's answer."""
    fast = linear_matcher(pattern)
    if fast is not None:
        return fast
    regex = _compile(pattern)
    return lambda text: regex.search(bounded(regex, _data(pattern, text))) is not None


def _data(pattern: str, text: str) -> bytes:
    data = to_bytes(readable(text))
    refuse_inner_boundary(pattern, data)
    return data


def _specialise(arguments: Sequence[Value]) -> Callable[..., Any] | None:
    pattern, text = arguments
    if pattern.__class__ is not str or text is not NOT_CONSTANT:
        return None
    try:
        matches = matcher(pattern)
    except BuiltinError:
        return None
    return lambda text: matches(text if text.__class__ is str else string(text, 2))


@builtin("regex.match", specialise=_specialise)
def match(pattern: Value, text: Value) -> Value:
    return matcher(string(pattern, 1))(string(text, 2))


@builtin("regex.globs_match")
def globs_match(left: Value, right: Value) -> Value:
    return intersects(readable(string(left, 1)), readable(string(right, 2)))


@builtin("regex.is_valid")
def is_valid(pattern: Value) -> Value:
    if pattern.__class__ is not str:
        return False
    try:
        _compile(pattern)
    except BuiltinError:
        return False
    return True


@builtin("regex.split", context=True)
def split_text(context: Context, pattern: Value, text: Value) -> Value:
    pattern = string(pattern, 1)
    data = _data(pattern, string(text, 2))
    regex = _compile(pattern)
    return [to_text(piece) for piece in split(regex, pattern, bounded(regex, data), context.check)]


@builtin("regex.find_n", context=True)
def find(context: Context, pattern: Value, text: Value, limit: Value) -> Value:
    pattern, count = string(pattern, 1), integer(limit, 3)
    data = _data(pattern, string(text, 2))
    found, regex = [], _compile(pattern)
    for places in find_all(regex, bounded(regex, data), count):
        context.check()
        found.append(to_text(data[slice(*places[0])]))
    return found


@builtin("regex.find_all_string_submatch_n", context=True)
def find_groups(context: Context, pattern: Value, text: Value, limit: Value) -> Value:
    pattern, count = string(pattern, 1), integer(limit, 3)
    data = _data(pattern, string(text, 2))
    found, size, regex = [], 0, _compile(pattern, captures=True)
    for places in find_all(regex, bounded(regex, data), count):
        context.check()
        groups = [to_text(data[start:end]) if start >= 0 else "" for start, end in places]
        size += len(groups)
        check_size(size)
        found.append(groups)
    return found


@builtin("regex.replace", context=True)
def replace(context: Context, text: Value, pattern: Value, replacement: Value) -> Value:
    text, pattern, replacement = string(text, 1), string(pattern, 2), string(replacement, 3)
    data = _data(pattern, text)
    regex = _compile(pattern, captures=True)
    parts = template(replacement, regex)
    pieces, size, last = [], len(data), 0
    for places in find_all(regex, bounded(regex, data)):
        context.check()
        pieces += [data[last : places[0][0]], expand(parts, data, places)]
        size += len(pieces[-1])
        check_size(size)
        last = places[0][1]
    return to_text(b"".join([*pieces, data[last:]]))


@builtin("regex.template_match")
def template_match(pattern: Value, text: Value, start: Value, end: Value) -> Value:
    """Match a template: regular expressions between delimiters, literal text around them."""
    pattern, text, start, end = (
        string(value, place) for place, value in enumerate((pattern, text, start, end), start=1)
    )
    for name, delimiter in (("start", start), ("end", end)):
        if len(to_bytes(delimiter)) != 1:
            raise BuiltinError(
                f"{name} delimiter has to be exactly one character long but is {len(to_bytes(start))} long"
            )
    regex = _compile(_from_template(pattern, start, end))
    return regex.search(bounded(regex, _data(pattern, text))) is not None


def _from_template(pattern: str, start: str, end: str) -> str:
    source, literal_from, level, opened = "^", 0, 0, 0
    for place, character in enumerate(pattern):
        if character == start:
            level += 1
            opened = place if level == 1 else opened
        elif character == end:
            level -= 1
            if level < 0:
                break
            if level == 0:
                inner = pattern[opened + 1 : place]
                _compile(f"^{inner}$")
                source += f"{quote_meta(pattern[literal_from:opened])}({inner})"
                literal_from = place + 1
    if level:
        raise BuiltinError(f"unbalanced braces in {pattern!r}")
    return source + quote_meta(pattern[literal_from:]) + "$"
