"""What was decided?"""

from abc import ABC, abstractmethod

from ztag_extauthz.component import Component
from ztag_extauthz.model import Decision, Request


class Reporter(Component, ABC):
    """Is told of every decision, cached or not."""

    @abstractmethod
    def report(self, request: Request, decision: Decision) -> None:
        """Take note. Neither raises nor waits: a decision does not depend on who hears of it."""
