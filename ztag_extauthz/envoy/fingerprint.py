"""What two CheckRequests have in common that differ only in what differs each time.

That is Envoy's own name for the request, when it came, the client's port, and headers that name the request or its
place in a trace (`again.UNLIKE_HEADERS`). Two requests with one fingerprint get one answer, but from who reads those.
"""

from secrets import token_bytes
from typing import Final

MAX_MESSAGE: Final = 32 * 1024
"""Bytes of a message; larger ones have a body, and hardly come again."""


class Fingerprints:
    """Takes fingerprints, under a key of its own; of one thread, for it writes into one place."""

    def __init__(self) -> None:
        """Compile the kernel, or load it. Raises `OSError` where there is no folder to keep it in."""
        import numpy as np  # noqa: PLC0415 - heavy, as the kernel is

        from ztag_extauthz.stores.kernels import warm  # noqa: PLC0415

        warm("ztag_extauthz.envoy.fingerprint_kernel")
        from ztag_extauthz.envoy import fingerprint_kernel as kernel  # noqa: PLC0415
        from ztag_extauthz.stores.siphash import PADDING  # noqa: PLC0415

        out = np.zeros(MAX_MESSAGE + PADDING, np.uint8)
        found = np.zeros(kernel.FOUND, np.int64)
        rows = np.zeros((kernel.ENTRIES, kernel.COLUMNS), np.int64)
        self._memory = (out, out.view(np.uint64), np.frombuffer(bytearray(token_bytes(16)), np.uint64), rows, found)
        self._digest = memoryview(found[: kernel.ID_BEGIN].view(np.uint8).data)
        self._id = memoryview(found[kernel.ID_BEGIN :].data)
        self._fingerprint = kernel.fingerprint

    def of(self, message: bytes) -> bytes | None:
        """Return a fingerprint of 16 bytes; None for a message that is unlike what Envoy sends, or too large."""
        if len(message) > MAX_MESSAGE or not self._fingerprint(message, *self._memory):
            return None
        return bytes(self._digest)

    def name(self, message: bytes) -> bytes:
        """Return Envoy's name for a request (`http.id`, digits; b"" for none) whose fingerprint was the last."""
        begin, end = self._id
        return message[begin:end]
