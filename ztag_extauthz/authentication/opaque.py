"""What is asked about tokens that only their issuer can read."""

from abc import ABC, abstractmethod

from ztag_extauthz.authentication.token_memory import Remembered


class Opaque(ABC):
    """One issuer that answers questions about its tokens."""

    max_token_bytes: int

    @abstractmethod
    async def ask(self, token: str, deadline: float) -> Remembered | str:
        """Return who shows a token, or why nobody does, in words fit for its sender.

        Raises `UnavailableError` or `DeadlineError` where the issuer does not say.
        """
