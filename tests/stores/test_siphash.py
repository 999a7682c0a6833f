"""SipHash against the vectors that its authors published (vectors_sip128 of the reference implementation)."""

import numpy as np
import pytest

from ztag_extauthz.stores.kernels import inlined
from ztag_extauthz.stores.siphash import PADDING, siphash

KEY = np.frombuffer(bytes(range(16)), np.uint64)
VECTORS = {
    0: "a3817f04ba25a8e66df67214c7550293",
    1: "da87c1d86b99af44347659119b22fc45",
    15: "5493e99933b0a8117e08ec0f97cfc3d9",
    63: "5150d1772f50834a503e069a973fbd7c",
}


@inlined
def call(words: np.ndarray, size: int, one: np.uint64, other: np.uint64) -> tuple[np.uint64, np.uint64]:
    return siphash(words, size, one, other)


@pytest.mark.parametrize(("size", "digest"), VECTORS.items())
def test_the_published_vectors(size: int, digest: str) -> None:
    words = np.zeros((size + PADDING) // 8 + 1, np.uint64)
    words.view(np.uint8)[:size] = range(size)
    found = call(words, size, KEY[0], KEY[1])
    assert b"".join(int(word).to_bytes(8, "little") for word in found).hex() == digest
