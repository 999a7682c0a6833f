"""Policies that ztag keeps on an OPA, so that a restart of OPA or a reload of ztag changes them as a whole.

What an OPA holds is exchanged by several requests, and decisions are asked for meanwhile. So each decision is asked for
by a rule of ztag's own that also says which policies are in force:

    package ztag.decisions.<prefix>.<digest of the decision's path>
    digest := "…"
    decision := data.envoy.authz.result

1. those rules go first: from here on no question has an answer
2. policies and data are exchanged
3. `data.ztag.state.<prefix>` says what is there
4. the rule of the decision comes last

An answer with another digest, or without one, is none. Whose settings were loaded later wins: two that differ would
exchange each other's policies for ever.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ztag_extauthz.authorization.engines.interface import Version, decision_path
from ztag_extauthz.authorization.engines.opa_client import Answer, OpaClient, refused
from ztag_extauthz.component import cancelled
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.values import Value

_OK: Final = frozenset({200, 204})
_GONE: Final = frozenset({200, 204, 404})


class Published(Struct, frozen=True):
    """What is to be in force."""

    modules: Mapping[str, str]
    data: Mapping[str, Value]
    version: Version
    loaded_at: float
    """Unix seconds."""


class State(Struct, frozen=True):
    """What ztag left there: `data.ztag.state.<prefix>`."""

    digest: str = ""
    loaded_at: float = 0.0
    policies: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    """Ids of the rules that decisions are asked for by."""


class Publisher:
    """Puts one set of policies and the rule of one decision on an OPA."""

    def __init__(self, client: OpaClient, published: Published, decision: str, prefix: str) -> None:
        self.version = published.version
        self._digest = published.version.digest.hex()
        parts = decision_path(decision)
        name = f"d_{blake2b('/'.join(parts).encode(), digest_size=8).hexdigest()}"
        self.path = f"/v1/data/ztag/decisions/{prefix}/{name}"
        """Where the decision is asked for."""
        self._rule = f"{prefix}/decisions/{name}.rego"
        self._text = "\n".join(
            (
                "# Kept by ztag.",
                f'package ztag.decisions["{prefix}"].{name}',
                f"digest := {json.dumps(self._digest)}",
                f"decision := data{''.join(f'[{json.dumps(part)}]' for part in parts)}",
            )
        )
        self._client = client
        self._published = published
        self._prefix = prefix
        self._flight: asyncio.Task[None] | None = None

    def keeps(self, path: tuple[str, ...]) -> bool:
        """Tell whether what is at a path below `data` is ztag's: each name of its files is put there as a whole."""
        return bool(path) and path[0] in self._published.data

    async def first(self, deadline: float) -> None:
        """Put the policies there if ztag has none there yet; what is in force is left alone. Raises `CheckError`."""
        if not (await self._state(deadline)).digest:
            await self.ensure(deadline)

    async def ensure(self, deadline: float) -> None:
        """See to it that the policies are there; one attempt at a time, however many wait. Raises `CheckError`."""
        if self._flight is None:
            self._flight = asyncio.create_task(self._publish(deadline))
            self._flight.add_done_callback(self._landed)
        await asyncio.shield(self._flight)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # also where everybody who waited had to go

    async def close(self) -> None:
        await cancelled(self._flight)

    async def _publish(self, deadline: float) -> None:
        state = await self._state(deadline)
        wanted = self._published
        if state.digest == self._digest:
            if self._rule not in state.rules:
                await self._tell(msgspec.structs.replace(state, rules=(*state.rules, self._rule)), deadline)
        elif state.loaded_at > wanted.loaded_at:
            raise UnavailableError(f"OPA at {self._client.name} holds policies that were loaded later than these")
        else:
            await self._exchange(state, deadline)
        await self._put_policy(self._rule, self._text, deadline)

    async def _exchange(self, state: State, deadline: float) -> None:
        wanted = self._published
        policies = {f"{self._prefix}/{_id(name)}": text for name, text in wanted.modules.items()}
        await self._delete("policies", state.rules, deadline)
        await self._delete("policies", set(state.policies) - policies.keys(), deadline)
        await self._delete("data", set(state.data) - wanted.data.keys(), deadline)
        for name, value in wanted.data.items():
            await self._put(f"/v1/data/{quote(name, safe='')}", dumps(value, escape_html=False).encode(), deadline)
        # A module may need another one: OPA takes functions that are not there yet for mistakes.
        left = dict(policies)
        while left:
            answers = {name: await self._policy(name, text, deadline) for name, text in left.items()}
            taken = {name for name, answer in answers.items() if answer.status in _OK}
            if not taken:
                raise _not_taken(answers)
            left = {name: text for name, text in left.items() if name not in taken}
        state = State(self._digest, wanted.loaded_at, tuple(policies), tuple(wanted.data), (self._rule,))
        await self._tell(state, deadline)

    async def _state(self, deadline: float) -> State:
        answer = await self._client.send("GET", f"/v1/data/ztag/state/{self._prefix}", None, deadline)
        if answer.status != 200:
            raise refused(answer, "a look at its policies")
        try:
            return msgspec.json.decode(answer.body, type=dict[str, State]).get("result", State())
        except msgspec.DecodeError:
            raise UnavailableError(f"OPA at {self._client.name} holds a data.ztag.state that is not ztag's") from None

    async def _tell(self, state: State, deadline: float) -> None:
        await self._put(f"/v1/data/ztag/state/{self._prefix}", msgspec.json.encode(state), deadline)

    async def _put(self, path: str, body: bytes, deadline: float) -> None:
        answer = await self._client.send("PUT", path, body, deadline)
        if answer.status not in _OK:
            raise refused(answer, f"PUT {path}")

    async def _put_policy(self, name: str, text: str, deadline: float) -> None:
        answer = await self._policy(name, text, deadline)
        if answer.status not in _OK:
            raise _not_taken({name: answer})

    async def _policy(self, name: str, text: str, deadline: float) -> Answer:
        return await self._client.send("PUT", f"/v1/policies/{quote(name)}", text.encode(), deadline)

    async def _delete(self, kind: str, names: Iterable[str], deadline: float) -> None:
        safe = "/" if kind == "policies" else ""
        for name in sorted(names):
            answer = await self._client.send("DELETE", f"/v1/{kind}/{quote(name, safe=safe)}", None, deadline)
            if answer.status not in _GONE:
                raise refused(answer, f"DELETE /v1/{kind}/{name}")


def _id(name: str) -> str:
    """Return what a module is called there: OPA takes a path with `..` or `//` for another one."""
    plain = "/".join(part for part in name.split("/") if part not in {"", ".", ".."})
    return plain if plain == name else f"{blake2b(name.encode(), digest_size=4).hexdigest()}/{plain}"


def _not_taken(answers: Mapping[str, Answer]) -> UnavailableError:
    """Return what OPA has against policies, in its own words: they are about policies, not about requests."""
    name, answer = next(iter(answers.items()))
    try:
        document: Any = json.loads(answer.body)
        first = document["errors"][0]
        why = f"{first['code']} at line {first['location']['row']}: {first['message']}"
    except (ValueError, LookupError, TypeError):
        return refused(answer, f"policy {name}")
    return UnavailableError(f"OPA does not take policy {name}: {why}")
