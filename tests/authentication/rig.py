"""The `jwt` kind as settings make it."""

import asyncio
from pathlib import Path
from typing import Any

from tests.authentication.parts import (
    ALGORITHMS,
    FOREVER,
    ISSUER,
    Clock,
    CountingMeter,
    jwk,
    key_set,
    request,
    resources,
)
from ztag_extauthz.authentication.jwt import Jwt, JwtSettings
from ztag_extauthz.model import Deny, Identity, Reason, Request


class Rig:
    """A `jwt` kind as settings make it, with everything around it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.clock = Clock()
        self.meter = CountingMeter()
        self.keys = folder / "jwks.json"
        if not self.keys.exists():
            self.keys.write_bytes(key_set(*(jwk(algorithm) for algorithm in ALGORITHMS)))
        self.jwt = self.build(**changes)

    def settings(self, **changes: Any) -> JwtSettings:
        good = {
            "kind": "jwt",
            "issuer": ISSUER,
            "audiences": ["mesh"],
            "algorithms": ALGORITHMS,
            "jwks": {"file": "jwks.json"},
        }
        return JwtSettings.model_validate(good | changes)

    def build(self, **changes: Any) -> Jwt:
        return self.settings(**changes).build(resources(self.folder, self.clock, self.meter))

    def answer(self, asked: Request | str, deadline: float = FOREVER) -> Identity | Deny | None:
        asked = request(f"Bearer {asked}") if isinstance(asked, str) else asked
        return asyncio.run(self.jwt.authenticate(asked, deadline))

    def identity(self, asked: Request | str) -> Identity:
        answer = self.answer(asked)
        assert isinstance(answer, Identity), answer
        return answer

    def refusal(self, asked: Request | str) -> Deny:
        answer = self.answer(asked)
        assert isinstance(answer, Deny), answer
        assert answer.reason is Reason.INVALID_CREDENTIALS
        return answer

    def cached(self, result: str) -> float:
        return self.meter.value("ztag_token_cache", result)
