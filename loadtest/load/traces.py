"""What is asked: from the same request again and again to what nobody remembers, and to attacks."""

# ruff: noqa: S311 (these dice need not be secret)

import itertools
import json
from collections.abc import Callable, Sequence
from random import Random

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from loadtest.corpus import Issuer, check_request
from loadtest.report.figures import NEW, TYPICAL

USERS, PATHS = 1000, 50
_FRESH = itertools.count()


class Traces:
    """Makes traces of one issuer's tokens; what has to be new is new at every call."""

    def __init__(self, issuer: Issuer, length: int) -> None:
        """`length` requests of a trace are asked in turn, so that none is asked twice where all have to be new."""
        self._issuer = issuer
        self._length = length
        self._random = Random(1)
        self._tokens = [issuer.token(f"user-{number}", ("editor",)) for number in range(USERS)]

    def constant(self) -> Sequence[bytes]:
        """Return one request."""
        return [check_request(self._tokens[0], "/orders/1")]

    def zipf(self) -> Sequence[bytes]:
        """Return requests of 1,000 users to 50 paths, some of each more often than others (Zipf, s = 1)."""
        weights = [1 / (rank + 1) for rank in range(USERS)]
        tokens = self._random.choices(self._tokens, weights, k=self._length)
        paths = self._random.choices(range(PATHS), weights[:PATHS], k=self._length)
        return [check_request(token, f"/orders/{path}") for token, path in zip(tokens, paths, strict=True)]

    def churn(self) -> Sequence[bytes]:
        """Return such requests, every tenth with a token that nobody has seen."""
        made = list(self.zipf())
        for place in range(0, self._length, 10):
            made[place] = check_request(self._fresh(), f"/orders/{place % PATHS}")
        return made

    def missing(self) -> Sequence[bytes]:
        """Return requests whose tokens and paths are all new."""
        return [check_request(self._fresh(), f"/orders/{number}-{next(_FRESH)}") for number in range(self._length)]

    def bodies(self) -> Sequence[bytes]:
        """Return orders with a body of 8 KiB, which the policy reads."""
        made = []
        for number in range(self._length // 10):
            request = CheckRequest.FromString(check_request(self._tokens[number % USERS], "/orders", "POST"))
            http = request.attributes.request.http
            note = "x" * (8192 - 40)
            http.body = json.dumps({"amount": number % 1000, "note": note})
            http.headers.update({"content-type": "application/json", "content-length": str(len(http.body))})
            made.append(bytes(request.SerializeToString()))
        return made

    def denied(self) -> Sequence[bytes]:
        """Return requests of which nine of ten are denied by the policy."""
        paths = [f"/admin/{number}" if number % 10 else f"/orders/{number}" for number in range(PATHS * 10)]
        tokens = self._random.choices(self._tokens, k=len(paths))
        return [check_request(token, path) for token, path in zip(tokens, paths, strict=True)]

    def attacks(self) -> Sequence[bytes]:
        """Return forged tokens, ambiguous paths, two credentials, and few good requests among them."""
        good, other = self._tokens[0], Issuer()
        forged = [other.token("admin", ("admin",)) for _ in range(5)]
        made = [check_request(token, "/admin") for token in forged]
        made += [check_request(good[:-5] + f"{number:05}", "/orders") for number in range(20)]
        made += [
            check_request(good, path) for path in ("/orders/../admin", "/orders%2fadmin", "/orders;a=1", "//admin")
        ]
        made += [check_request("e30", "/orders"), check_request(f"{good},{good}", "/orders")]
        return made * 3 + [check_request(token, "/orders") for token in self._tokens[:10]]

    def _fresh(self) -> str:
        return self._issuer.token(f"fresh-{next(_FRESH)}", ("editor",))

    def all(self) -> dict[str, Callable[[], Sequence[bytes]]]:
        """Return every trace by its name in the report."""
        return {
            "constant": self.constant,
            TYPICAL: self.zipf,
            "10 % first-seen tokens": self.churn,
            NEW: self.missing,
            "bodies of 8 KiB": self.bodies,
            "nine of ten denied": self.denied,
            "attacks": self.attacks,
        }
