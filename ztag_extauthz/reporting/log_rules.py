"""What policies say of their decision log: `system.log.mask` and `system.log.drop`, asked with the event as `input`."""

from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any, Final

from ztag_extauthz.errors import Mistake, PolicyError
from ztag_extauthz.rego import errors as rego
from ztag_extauthz.rego.values import members
from ztag_extauthz.reporting import masks

MASK: Final = "system/log/mask"
DROP: Final = "system/log/drop"
SECONDS: Final = 1.0
"""A rule's evaluation ends after so long; then the event is lost, for what was to be taken out of it is not known."""


class LogRules:
    """The compiled rules of one file."""

    def __init__(self, file: str, text: str) -> None:
        """Compile them. Raises `PolicyError`."""
        from ztag_extauthz.rego.engine import compile_policy  # noqa: PLC0415 - heavy

        try:
            found = compile_policy({file: text}, {})
            points = [point for point in (MASK, DROP) if found.defines(point)]
            policy = compile_policy({file: text}, {}, entry_points=points)
        except rego.PolicyError as error:
            places = ((f"{each.file}:{each.line}:{each.column}", each) for each in error.mistakes)
            mistakes = tuple(Mistake(place, each.message, each.remedy, "rules") for place, each in places)
            raise PolicyError(mistakes) from None
        if not points:
            remedy = "define mask or drop in package system.log"
            raise PolicyError((Mistake(file, "has no system.log.mask and no system.log.drop", remedy, "rules"),))
        self._mask = policy.decision(MASK) if MASK in points else None
        self._drop = policy.decision(DROP) if DROP in points else None

    def masks(self, event: Mapping[str, Any]) -> Iterator[masks.MaskRule]:
        """Yield what the policy wants out. Raises `ValueError` for what is no rule, and the engine's errors."""
        found = None if self._mask is None else self._mask.evaluate(dict(event), deadline=monotonic() + SECONDS)
        if isinstance(found, frozenset | list):
            yield from map(masks.rule, members(found) if isinstance(found, frozenset) else found)

    def drops(self, event: Mapping[str, Any]) -> bool:
        return self._drop is not None and self._drop.evaluate(dict(event), deadline=monotonic() + SECONDS) is True
