"""What supervisor and workers say to each other, over a pipe.

    supervisor ──Prepare, Commit, Renew, Drain──▶ worker
    supervisor ◀──Unusable, Accepting, Prepared, Condition, Trouble── worker

A reload takes two steps, so that all workers change over to a new configuration, or none.
"""

from typing import TypeAlias

from msgspec import Struct

from ztag_extauthz.component import Readiness
from ztag_extauthz.settings import Settings


class Prepare(Struct, frozen=True):
    """Build what these settings ask for, beside what is in force."""

    revision: int
    settings: Settings


class Commit(Struct, frozen=True):
    """Put in force what was prepared under this revision."""

    revision: int


class Renew(Struct, frozen=True):
    """Read the TLS files again."""


class Drain(Struct, frozen=True):
    """Answer what is under way and end."""


Order: TypeAlias = Prepare | Commit | Renew | Drain


class Unusable(Struct, frozen=True):
    """The worker cannot start under its settings, and ends: every mistake."""

    mistakes: str


class Accepting(Struct, frozen=True):
    """The worker accepts connections."""


class Prepared(Struct, frozen=True):
    """What `Prepare` asked for is built; or it cannot be, and why."""

    revision: int
    mistakes: str = ""


class Condition(Struct, frozen=True):
    """The components' readiness, told whenever it changes, and every second as a sign of life."""

    components: tuple[Readiness, ...]


class Trouble(Struct, frozen=True):
    """An order could not be carried out; what was in force still is."""

    what: str


Report: TypeAlias = Unusable | Accepting | Prepared | Condition | Trouble
