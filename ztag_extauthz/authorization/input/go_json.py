"""JSON as Go's decoder reads it with `UseNumber`: strict, the last of two equal names wins, numbers stay exact."""

from typing import Any

from ztag_extauthz.authorization.input.parse_error import ParseError
from ztag_extauthz.rego import documents


def loads(document: str) -> Any:
    """Return a document as a value of Rego; raises `ParseError`.

    Nesting (Go: 10,000 levels) and numbers are bounded: what the policy makes of a body must not end in an error.
    """
    try:
        return documents.loads(document)
    except ValueError:
        raise ParseError("the body is not valid JSON") from None
