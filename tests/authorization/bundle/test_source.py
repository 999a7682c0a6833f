import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.authentication.parts import Clock, CountingMeter, KeyServer
from tests.authorization.bundle.parts import bundle, signed, versioned
from tests.authorization.bundle.test_signature import public_key
from tests.envoy.checks import ALICE, check, request
from ztag_extauthz.authorization.bundle import source
from ztag_extauthz.authorization.bundle.settings import BundleSettings, SigningSettings
from ztag_extauthz.authorization.engines.embedded import Embedded
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError, UnavailableError
from ztag_extauthz.model import Allow, Context, Verdict

PATH = "/bundles/authz.tar.gz"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(source, "LOOK", 0.02)


class Node:
    """A worker, its folder and the server that it fetches from."""

    def __init__(self, server: KeyServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.meter = CountingMeter()
        self.clock = Clock()
        self.seen: list[str] = []

    def serve(self, content: bytes, etag: str) -> None:
        """Serve a bundle with its ETag, as OPA's bundle services do."""

        def answer(handler: Any) -> None:
            known = handler.headers["if-none-match"]
            self.seen.append(known or "")
            same = known == etag
            handler.send_response(304 if same else 200)
            handler.send_header("etag", etag)
            handler.send_header("content-length", "0" if same else str(len(content)))
            handler.end_headers()
            handler.wfile.write(b"" if same else content)

        self.server.answers[PATH] = answer

    def build(self, *, signing: SigningSettings | None = None, policies: tuple[str, ...] = (), **options: Any) -> Rego:
        settings = {"url": self.server.url + PATH, "min_delay": 0.01, "max_delay": 0.05, "timeout": 10.0, **options}
        rego = RegoSettings(kind="rego", bundle=BundleSettings(**settings), signing=signing, policies=policies)
        return rego.build(Resources(self.folder, self.clock, self.meter))

    def count(self, result: str) -> float:
        return self.meter.value("ztag_bundle_fetches", result)


@pytest.fixture
def node(key_server: KeyServer, tmp_path: Path) -> Node:
    return Node(key_server, tmp_path)


@asynccontextmanager
async def running(rego: Rego) -> Any:
    await rego.start()
    try:
        yield rego
    finally:
        await rego.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)


async def ask(rego: Rego, seconds: float = 10.0) -> Verdict:
    return await rego.authorize(Context(request(check()), ALICE), monotonic() + seconds)


def has(rego: Rego, revision: str) -> Callable[[], bool]:
    return lambda: rego.policy.version.revision == revision


def refused(node: Node, times: int) -> Callable[[], bool]:
    return lambda: node.count("refused") == times


def run(work: Awaitable[None]) -> None:
    asyncio.run(work)  # type: ignore[arg-type]


def detail(rego: Rego) -> tuple[bool, str]:
    entry = rego.readiness()[-1]
    assert entry.component.startswith("bundle http://127.0.0.1:")
    return entry.ready, entry.detail


def test_it_waits_for_the_first_bundle(node: Node) -> None:
    async def work() -> None:
        rego = node.build()
        assert detail(rego) == (False, "not fetched yet")
        with pytest.raises(UnavailableError, match="policy envoy/authz/result: there are no policies yet: not fetched"):
            await ask(rego, 0.05)
        async with running(rego):
            await until(lambda: node.count("error"))
            assert detail(rego)[1].endswith("answers 404")
            waiting = asyncio.create_task(ask(rego))
            node.serve(bundle(versioned("1")), '"1"')
            assert await waiting == Allow(policy_revision="1")
            assert detail(rego) == (True, "")
            assert rego.readiness()[-1].updated_at == node.clock.now
            assert await ask(rego) == Allow(policy_revision="1")

    run(work())


def test_another_bundle_is_put_in_force(node: Node) -> None:
    async def work() -> None:
        node.serve(bundle(versioned("1")), '"1"')
        async with running(node.build()) as rego:
            await until(lambda: node.count("unchanged") > 2)
            assert node.seen[:3] == ["", '"1"', '"1"']
            node.serve(bundle(versioned("2", answer=False)), '"2"')
            await until(has(rego, "2"))
            assert (await ask(rego)).policy_revision == "2"
            assert not isinstance(await ask(rego), Allow)
            assert node.count("activated") == 2

    run(work())


def test_other_data_is_exchanged_without_compiling(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        node.serve(bundle(versioned("1")), '"1"')
        async with running(node.build()) as rego:
            await until(has(rego, "1"))
            monkeypatch.setattr(Embedded, "__init__", None)
            before = rego.policy
            node.serve(bundle(versioned("2", answer={"allowed": True, "headers": {"a": "b"}})), '"2"')
            await until(has(rego, "2"))
            assert rego.policy is before
            assert await ask(rego) == Allow(request_headers=(("a", "b"),), policy_revision="2")

    run(work())


SOON = "# METADATA\n# custom: {ztag: {ttl: soon}}"
BAD = [
    (b"no gzip", "is cut off or damaged"),
    (bundle(versioned("2"))[:-10], "is cut off or damaged"),
    (bundle(versioned("2", policy="package envoy.authz\nresult :=")), "rego"),
    (bundle(versioned("2", policy="package other")), "no rule defines"),
    (bundle({**versioned("2"), "data.json": "{"}), "Expecting"),
    (bundle({**versioned("2"), "data.json": '{"envoy": {"authz": {"result": true}}}'}), "conflicting rule"),
    (bundle(versioned("2", policy=f"package envoy.authz\n{SOON}\nresult := true")), "is no duration"),
    (bundle({"../x.rego": ""}), "leads out of it"),
    (bundle({"patch.json": "{}"}), "delta"),
]


@pytest.mark.parametrize(("content", "why"), BAD, ids=[why for _, why in BAD])
def test_a_bad_bundle_leaves_the_last_good_one(node: Node, content: bytes, why: str) -> None:
    async def work() -> None:
        node.serve(bundle(versioned("1")), '"1"')
        async with running(node.build(persist="kept")) as rego:
            await until(has(rego, "1"))
            node.serve(content, '"2"')
            await until(lambda: node.count("refused"))
            ready, told = detail(rego)
            assert ready
            assert why in told
            assert told.endswith("; the last good one stays")
            assert await ask(rego) == Allow(policy_revision="1")
            seen = len(node.seen)
            await until(lambda: len(node.seen) > seen + 2)
            assert node.seen[-1] == '"2"', "what was refused is not fetched again and again"
            assert node.count("refused") == 1
            assert detail(rego)[1] == told
            node.serve(bundle(versioned("3")), '"3"')
            await until(has(rego, "3"))
            assert detail(rego) == (True, "")
            seen = len(node.seen)
            await until(lambda: len(node.seen) > seen)
        again = node.build(persist="kept")
        assert has(again, "3")()

    run(work())


def test_a_server_that_is_down_leaves_the_last_good_one(node: Node) -> None:
    async def work() -> None:
        node.serve(bundle(versioned("1")), '"1"')
        async with running(node.build()) as rego:
            await until(has(rego, "1"))
            node.server.stop()
            await until(lambda: node.count("error") > 2)
            assert detail(rego)[0]
            assert await ask(rego) == Allow(policy_revision="1")

    run(work())


def test_the_kept_bundle_serves_a_start_without_network(node: Node) -> None:
    async def work() -> None:
        node.serve(bundle(versioned("1")), '"1"')
        async with running(node.build(persist="kept")) as rego:
            await until(lambda: node.count("unchanged"))
        node.server.stop()
        rego = node.build(persist="kept")
        assert detail(rego) == (True, "")
        assert await ask(rego) == Allow(policy_revision="1")

    run(work())


def test_a_kept_bundle_that_is_bad_is_fetched_anew(node: Node) -> None:
    async def work() -> None:
        node.serve(bundle(versioned("1")), '"1"')
        async with running(node.build(persist="kept")):
            await until(lambda: node.count("unchanged"))
        (kept,) = (node.folder / "kept").glob("*.tar.gz")
        kept.write_bytes(b"rubbish")
        rego = node.build(persist="kept")
        assert not detail(rego)[0]
        async with running(rego):
            await until(has(rego, "1"))

    run(work())


def test_workers_follow_each_other_by_the_disk(node: Node) -> None:
    async def work() -> None:
        node.serve(bundle(versioned("1")), '"1"')
        async with running(node.build(min_delay=3600.0, max_delay=3600.0, persist="kept")) as slowly:
            await until(has(slowly, "1"))
            node.serve(bundle(versioned("2")), '"2"')
            async with running(node.build(persist="kept")) as other:
                await until(has(other, "2"))
                await until(has(slowly, "2"))

    run(work())


def test_what_another_worker_left_and_cannot_be_read_is_told(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        node.serve(bundle(versioned("1")), '"1"')
        async with running(node.build(min_delay=3600.0, max_delay=3600.0, persist="kept")) as rego:
            await until(lambda: any((node.folder / "kept").glob("*.json")))
            (kept,), (note,) = (node.folder / "kept").glob("*.tar.gz"), (node.folder / "kept").glob("*.json")
            kept.unlink()
            kept.mkdir()

            def told() -> bool:
                note.touch()
                return "cannot be used" in caplog.text

            await until(told)
            assert has(rego, "1")()

    run(work())


def test_only_signed_bundles_are_put_in_force(node: Node) -> None:
    public_key(node.folder / "key.pem", "ES256")
    signing = SigningSettings.model_validate({"keys": [{"id": "k1", "algorithm": "ES256", "file": "key.pem"}]})

    async def work() -> None:
        node.serve(bundle(signed(versioned("1"))), '"1"')
        async with running(node.build(signing=signing)) as rego:
            await until(has(rego, "1"))
            for tag, content in (("2", versioned("2")), ("3", signed(versioned("3"), key="k2"))):
                node.serve(bundle(content), f'"{tag}"')
                await until(refused(node, int(tag) - 1))
                assert has(rego, "1")()
            assert "its key is 'k2', and the settings have no such key" in detail(rego)[1]

    run(work())


def test_files_and_the_bundle_are_one(node: Node) -> None:
    (node.folder / "more.rego").write_text("package envoy.authz\nresult := true if data.own")
    (node.folder / "own.json").write_text('{"own": true}')

    async def work() -> None:
        node.serve(bundle({"data.json": "{}"}), '"1"')
        async with running(node.build(policies=("more.rego", "own.json"))) as rego:
            await until(lambda: node.count("activated"))
            assert isinstance(await ask(rego), Allow)

    run(work())


def test_the_token_and_the_protocol(node: Node) -> None:
    (node.folder / "token").write_text("s3cret\n")
    asked: list[dict[str, str]] = []

    def answer(handler: Any) -> None:
        asked.append({name.lower(): value for name, value in handler.headers.items()})
        handler.send_response(503)
        handler.send_header("content-length", "0")
        handler.end_headers()

    async def work() -> None:
        node.server.answers[PATH] = answer
        async with running(node.build(token_file="token")):
            await until(lambda: asked)
            (node.folder / "token").write_text("another\n")
            await until(lambda: asked[-1]["authorization"] == "Bearer another")
            (node.folder / "token").unlink()
            await until(lambda: node.count("error") > 3)

    run(work())
    assert asked[0]["authorization"] == "Bearer s3cret"
    assert asked[0]["prefer"] == "modes=snapshot"


def test_a_bundle_that_is_too_large(node: Node) -> None:
    async def work() -> None:
        node.serve(b"x" * 2000, '"1"')
        async with running(node.build(max_bytes=1024)) as rego:
            await until(lambda: node.count("error"))
            assert "sends more than 1024 bytes" in detail(rego)[1]

    run(work())


def test_what_cannot_be_read_at_load_is_told(node: Node) -> None:
    with pytest.raises(SettingsError, match=r"^bundle\.token_file: token: cannot be read"):
        node.build(token_file="token")
    with pytest.raises(SettingsError, match=r"^bundle\.ca: .*ca\.pem: cannot be used"):
        node.build(ca="ca.pem")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"url": "http://bundles.example/a.tar.gz"}, "is not https"),
        ({"url": "https://bundles.example/a.tar.gz", "min_delay": 5, "max_delay": 1}, "min_delay is longer"),
        ({"url": "https://bundles.example/a.tar.gz", "max_bytes": 1}, "max_bytes"),
        ({"url": "https://user:pw@bundles.example/a.tar.gz"}, "has a user"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        BundleSettings(**options)


def test_bundles_are_for_the_embedded_engine() -> None:
    opa, fetched = {"url": "http://127.0.0.1:1"}, {"url": "https://bundles.example/a.tar.gz"}
    with pytest.raises(ValueError, match="bundle is for the embedded engine"):
        RegoSettings.model_validate({"kind": "rego", "engine": "opa", "opa": opa, "bundle": fetched})


def test_pauses_lie_between_the_two_delays_and_double_after_failures(node: Node) -> None:
    source = node.build(min_delay=10.0, max_delay=20.0)._source
    assert source is not None
    assert all(10.0 <= source._pause() <= 20.0 for _ in range(100))
    for failures, longest in ((1, 0.02), (2, 0.04), (5, 0.32), (30, 20.0)):
        source._failures = failures
        assert all(longest / 2 <= source._pause() <= longest for _ in range(100))
