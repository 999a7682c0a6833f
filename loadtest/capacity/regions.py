"""Three regions, simulated: what is remembered where, how long answers stay that are to be forgotten, and a failover.

A discrete-event simulation: callers ask by a Poisson process and Zipf's law; a worker answers one request after the
other; an answer is looked for in the node's memory, then in the region's Redis, and made anew otherwise, at the CPU
that each was measured to take. The caches begin as they are after long. Everything follows from `World.seed`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from loadtest.capacity.sizing import Costs

REGIONS: Final = ("eu", "us", "ap")
WAYS: Final = np.array([[0.0, 0.040, 0.110], [0.040, 0.0, 0.075], [0.110, 0.075, 0.0]])
"""Seconds from one region to another."""
LOST: Final = "ap"
"""The region that fails."""
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class World(Struct, frozen=True):
    """What is assumed; times in seconds."""

    nodes: int = 2
    """Of a region; each one worker."""
    rate: float = 2500.0
    """Requests a second and worker, before."""
    users: int = 1000
    """Of a region."""
    paths: int = 50
    ttl: float = 60.0
    redis: float = 0.0005
    """There and back, within a region."""
    fails: float = 5.0
    notices: float = 2.0
    """From the failure until callers go elsewhere."""
    ends: float = 20.0
    interval: float = 0.2
    """Between two questions of a worker after what is to be forgotten."""
    jitter: float = 0.1
    """Of a distance, in the mean."""
    repeated: float = 0.001
    """Messages between regions that are lost, and sent again after a second."""
    forgettings: int = 4000
    listeners: int = 8
    """Workers of a region that hear of it."""
    seed: int = 1


class Asked(Struct, frozen=True):
    """Requests of one region's workers in the order of time."""

    at: Floats
    key: NDArray[np.int64]
    user: NDArray[np.int64]
    distance: Floats
    """Seconds to the caller's own region and back."""


class Answered(Struct, frozen=True):
    """What became of them."""

    asked: Asked
    added: Floats
    """Seconds that a decision added, the distance among them."""
    level: NDArray[np.int64]
    """0: the node's memory; 1: Redis; 2: made anew."""
    cpu: Floats


def staleness(world: World) -> Mapping[str, Floats]:
    """Return the seconds until each worker forgot, sorted: of the region where it was said, and of the others."""
    rng = np.random.default_rng(world.seed)
    count = (world.forgettings, len(REGIONS), world.listeners)
    origin = np.arange(world.forgettings) % len(REGIONS)
    way = WAYS[origin] * (1 + _exponential(rng, WAYS[origin].shape) * world.jitter)
    way += (WAYS[origin] > 0) * (rng.random(way.shape) < world.repeated)
    heard = way[:, :, None] + rng.random(count) * world.interval + world.redis
    own = origin[:, None] == np.arange(len(REGIONS))
    return {"the same region": np.sort(heard[own].ravel()), "the other regions": np.sort(heard[~own].ravel())}


def failover(costs: Costs, world: World, shares: Mapping[str, float]) -> Mapping[str, Answered]:
    """Return what the other regions answer while `LOST` fails; `shares` of its load come to each of them."""
    rng = np.random.default_rng(world.seed)
    made = [_asked(rng, region, world) for region in range(len(REGIONS))]
    lost = REGIONS.index(LOST)
    later = made[lost].at > world.fails + world.notices
    chosen, low, answered = rng.random(later.shape), 0.0, {}
    for name, share in shares.items():
        region = REGIONS.index(name)
        comes = later & (low <= chosen) & (chosen < low + share)
        moved = _only(made[lost], comes, 2 * WAYS[lost, region])
        answered[name] = _answer(rng, _merged(made[region], moved), region, costs, world)
        low += share
    return answered


def loads(answered: Answered, world: World) -> Floats:
    """Return the part of a core that a worker was asked for, second by second."""
    seconds = np.arange(world.ends + 1)
    spent, _ = np.histogram(answered.asked.at, seconds, weights=answered.cpu)
    return spent / world.nodes


def _asked(rng: np.random.Generator, region: int, world: World) -> Asked:
    rate = world.rate * world.nodes
    at = np.cumsum(_exponential(rng, (int(rate * world.ends * 1.05),)) / rate)
    at = at[at < world.ends]
    user = np.searchsorted(np.cumsum(_zipf(world.users)), rng.random(at.shape)) + region * world.users
    path = np.searchsorted(np.cumsum(_zipf(world.paths)), rng.random(at.shape))
    return Asked(at, user * world.paths + path, user, np.zeros_like(at))


def _zipf(count: int) -> Floats:
    weights = 1.0 / np.arange(1, count + 1)
    return np.asarray(weights / weights.sum() * (1 + 1e-12))


def _exponential(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw from uniform numbers, whose stream no version changes."""
    return np.asarray(-np.log1p(-rng.random(shape)))


def _only(asked: Asked, mask: Mask, distance: float) -> Asked:
    at = asked.at[mask]
    return Asked(at, asked.key[mask], asked.user[mask], np.full_like(at, distance))


def _merged(one: Asked, other: Asked) -> Asked:
    order = np.argsort(np.concatenate((one.at, other.at)), kind="stable")
    parts = ("at", "key", "user", "distance")
    return Asked(*(np.concatenate((getattr(one, part), getattr(other, part)))[order] for part in parts))


def _filled(rng: np.random.Generator, region: int, world: World) -> Sequence[list[float]]:
    """Return until when each node has each answer after long: there with λT / (1 + λT), of any age."""
    shares = np.outer(_zipf(world.users), _zipf(world.paths)).ravel() * world.rate * world.ttl
    nodes = []
    for _ in range(world.nodes):
        ends = np.zeros(len(REGIONS) * world.users * world.paths)
        there = rng.random(shares.shape) < shares / (1 + shares)
        begin = region * shares.size
        ends[begin : begin + shares.size] = np.where(there, rng.random(shares.shape) * world.ttl, 0.0)
        nodes.append(ends.tolist())
    return nodes


def _answer(rng: np.random.Generator, asked: Asked, region: int, costs: Costs, world: World) -> Answered:
    """Answer one request after the other."""
    nodes = _filled(rng, region, world)
    shared = [max(ends) for ends in zip(*nodes, strict=True)]
    own = range(region * world.users, (region + 1) * world.users)
    known = [set(own) for _ in nodes]
    free = [0.0] * world.nodes
    hit, evaluated, new = (cost * 1e-6 for cost in (costs.remembered, costs.evaluated, costs.new))
    rows: list[tuple[float, int, float]] = []
    turn = (rng.random(asked.at.shape) * world.nodes).astype(np.int64).tolist()
    for node, at, key, user in zip(turn, asked.at.tolist(), asked.key.tolist(), asked.user.tolist(), strict=True):
        ends, cpu, level, waited = nodes[node], hit, 0, 0.0
        if ends[key] <= at:
            waited, level = world.redis, 1
            if shared[key] <= at:
                level, shared[key] = 2, at + world.ttl
                cpu = evaluated
            ends[key] = shared[key]
        if user not in known[node]:
            known[node].add(user)
            cpu += new - evaluated
        free[node] = max(at, free[node]) + cpu
        rows.append((free[node] - at + waited, level, cpu))
    added, level_of, spent = (np.array(column) for column in zip(*rows, strict=True))
    return Answered(asked, added + asked.distance, level_of.astype(np.int64), spent)
