"""What two CheckRequests have in common that differ only in what differs each time.

That is Envoy's own name for the request, when it came, the client's port, and headers that name the request or its
place in a trace. No two requests with one fingerprint can get two answers, but for who reads what is `VOLATILE`.
"""

from hashlib import blake2b
from secrets import token_bytes
from typing import Final, NamedTuple

MAX_MESSAGE: Final = 32 * 1024
"""Bytes of a message; larger ones have a body, and hardly come again."""


class Fingerprint(NamedTuple):
    """What is the same, under a key that nobody knows, and the request's own name."""

    digest: bytes
    """16 bytes."""
    id: str
    """`http.id`, digits; "" where there is none."""


class Fingerprints:
    """Takes fingerprints; of one thread, for it writes into memory of its own."""

    def __init__(self) -> None:
        """Compile the kernel, or load it. Raises `OSError` where there is no folder to keep it in."""
        from ztag_extauthz.stores.kernels import warm  # noqa: PLC0415 - heavy, as the kernel is

        warm("ztag_extauthz.envoy.fingerprint_kernel")
        import numpy as np  # noqa: PLC0415 - likewise

        from ztag_extauthz.envoy import fingerprint_kernel as kernel  # noqa: PLC0415

        self._walk = kernel.fingerprint
        self._out = np.zeros(MAX_MESSAGE, np.uint8)
        self._written = memoryview(self._out.data)
        self._places = np.zeros(2, np.int64)
        self._place = memoryview(self._places.data)
        self._begun = blake2b(digest_size=16, key=token_bytes(32))

    def of(self, message: bytes) -> Fingerprint | None:
        """Return a message's fingerprint; None for one that is unlike what Envoy sends, or too large."""
        if len(message) > MAX_MESSAGE:
            return None
        size = self._walk(message, self._out, self._places)
        if size < 0:
            return None
        one = self._begun.copy()  # the key is hashed in already
        one.update(self._written[:size])
        begin, end = self._place
        return Fingerprint(one.digest(), str(message[begin:end], "ascii"))
