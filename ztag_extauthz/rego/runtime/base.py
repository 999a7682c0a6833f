"""Looking into base documents, which OPA reaches by paths of texts."""

import re
from collections.abc import Iterable
from typing import Final

from ztag_extauthz.rego.errors import EvaluationError
from ztag_extauthz.rego.runtime.evaluation import get
from ztag_extauthz.rego.values import UNDEFINED, Number, Value, is_number

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,17}")


def get_base(value: Value, wanted: Value) -> Value:
    """Look into a base document: OPA's paths into its store are text, so `2` finds the name "2" and the reverse."""
    if value.__class__ is dict and is_number(wanted):
        wanted = wanted.text if wanted.__class__ is Number else str(wanted)
    elif value.__class__ is list and wanted.__class__ is str and _INDEX.fullmatch(wanted):
        wanted = int(wanted)
    return get(value, wanted)


def lookup_base(value: Value, path: Iterable[Value]) -> Value:
    for part in path:
        value = get_base(value, part)
        if value is UNDEFINED:
            return UNDEFINED
    return value


def get_sure(value: Value, wanted: Value) -> Value:
    """Look up where OPA finds a name by a number, or the reverse, at some times and not at others: that is an error."""
    found = get(value, wanted)
    if found is not UNDEFINED:
        return found
    other: Value = UNDEFINED
    if is_number(wanted):
        other = wanted.text if wanted.__class__ is Number else str(wanted)
    elif wanted.__class__ is str and _INDEX.fullmatch(wanted):
        other = int(wanted)
    if other is not UNDEFINED and get(value, other) is not UNDEFINED:
        message = f"a number and its text are one in OPA's store, but not always: {wanted} found as the other"
        raise EvaluationError("rego_unsupported_error", message)
    return UNDEFINED


def lookup_sure(value: Value, path: Iterable[Value]) -> Value:
    for part in path:
        value = get_sure(value, part)
        if value is UNDEFINED:
            return UNDEFINED
    return value
