"""Reloads of `ztag serve`: settings, policies, keys, certificates, good ones and bad ones."""

import asyncio
import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.server.certificates import Authority
from tests.server.client import Tls
from tests.server.conftest import Shared
from tests.server.keys import KeyServer
from tests.server.parts import tls_settings
from tests.server.process import Load, Ztag, replace, revision, serving, until, write_config, write_policy
from ztag_extauthz.meter import CELLS, Meter
from ztag_extauthz.server.crew import Crew
from ztag_extauthz.server.kept import Keeper
from ztag_extauthz.server.reload import Reloader
from ztag_extauthz.settings import Settings, load
from ztag_extauthz.stores.shared import SharedMemory


class TestReload:
    def test_never_5_sighup_under_load_fails_no_request(self, shared: Shared) -> None:
        with Load(shared.ztag) as load:
            write_policy(shared.folder, "two")
            shared.ztag.signal(signal.SIGHUP)
            until(lambda: load.revisions[-2:] == ["two", "two"])
        assert load.errors == []

    def test_a_changed_file_is_enough(self, shared: Shared) -> None:
        write_policy(shared.folder, "two")
        until(lambda: all(revision(shared.ztag.check(worker=worker)) == "two" for worker in (0, 1)))

    @pytest.mark.parametrize("name", ["policy.rego", "ztag.yaml"])
    def test_a_bad_file_keeps_what_is_in_force_and_says_why(self, shared: Shared, name: str) -> None:
        ztag, refused = shared.ztag, 'ztag_reloads_total{result="error"}'
        before = ztag.metric(refused)
        replace(shared.folder / name, "{ bad")
        ztag.signal(signal.SIGHUP)
        until(lambda: ztag.metric(refused) > before)
        assert name in ztag.log
        status, document = ztag.get("/readyz")
        assert (status, ztag.metric("ztag_configuration_refused")) == (200, 1)
        assert name in json.loads(document)["refused"]
        for worker in (0, 1):
            assert revision(ztag.check(worker=worker)) == "one"

    def test_a_changed_listener_needs_a_restart_and_the_rest_is_reloaded(self, shared: Shared) -> None:
        write_policy(shared.folder, "two")
        write_config(shared.folder, server={**shared.server, "workers": 3})
        shared.ztag.signal(signal.SIGHUP)
        until(lambda: revision(shared.ztag.check()) == "two")
        assert "a change of server needs a restart" in shared.ztag.log
        assert len(shared.ztag.workers()) == 2

    def test_a_storm_of_reloads_ends_with_the_last_word(self, shared: Shared) -> None:
        with Load(shared.ztag) as load:
            for number in range(20):
                write_policy(shared.folder, f"r{number:02}")
                shared.ztag.signal(signal.SIGHUP)
            until(lambda: load.revisions[-2:] == ["r19", "r19"])
        assert load.errors == []

    def test_keys_that_are_lost_in_a_reload_are_waited_for(self, folder: Path) -> None:
        """The key server is down when the policy changes: the keys that are in force must not go."""
        with KeyServer() as keys:
            jwt: dict[str, Any] = {"kind": "jwt", "issuer": keys.url, "audiences": ["mesh"], "algorithms": ["RS256"]}
            jwt["jwks"] = {"url": f"{keys.url}/keys", "cool_down": 0.2}
            with serving(folder, authentication=[jwt, {"kind": "anonymous"}], server={"workers": 1}) as ztag:
                until(lambda: ztag.get("/readyz")[0] == 200)
                keys.down = True
                write_policy(folder, "two")
                until(lambda: "the reload waits for" in ztag.log)
                assert revision(ztag.check()) == "one"
                keys.down = False
                until(lambda: revision(ztag.check()) == "two")


def test_an_error_that_nobody_foresaw_is_a_refused_reload(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = load(write_config(tmp_path), {})
    cells = [0.0] * CELLS
    meter = Meter(cells)

    async def nobody(_: Settings) -> None:
        """Nobody else has to know."""

    async def main() -> None:
        crew = Crew((), settings, tmp_path, lambda: None, SharedMemory(tmp_path))
        # No file has such a name, and Python says so by an error of its own.
        reloader = Reloader(Path("a\0b"), {}, crew, meter, Keeper(tmp_path / "kept", tmp_path), also=nobody)
        await reloader._reload()

    asyncio.run(main())
    assert "reload refused, the configuration in force stays:\nValueError: embedded null byte" in caplog.text
    assert cells[meter.series("ztag_reloads", "error")] == 1.0
    assert cells[meter.series("ztag_configuration_refused")] == 1.0


class TestTls:
    def test_certificates_are_rotated_when_their_files_change(self, folder: Path, pki: Path, kind: str) -> None:
        tls = tls_settings(pki).model_dump(exclude_none=True, mode="json")
        with serving(folder, listen={"tls": tls}, server={"workers": 2, "engine": kind}) as ztag:
            assert revision(ztag.check(tls=Tls(pki / "ca.pem"))) == "one"
            authority = Authority("mesh, next year")
            (pki / "new-ca.pem").write_bytes(authority.certificate)
            pair = authority.issue("server", "127.0.0.1")
            replace(pki / "server.key", pair.key.decode())
            ztag.signal(signal.SIGHUP)
            until(lambda: "does not belong to listen.tls.certificate" in ztag.log)
            assert revision(ztag.check(tls=Tls(pki / "ca.pem"))) == "one"
            replace(pki / "server.pem", pair.certificate.decode())
            for worker in (0, 1):
                until(partial(_accepts, ztag, worker, Tls(pki / "new-ca.pem")))


def _accepts(ztag: Ztag, worker: int, tls: Tls) -> bool:
    try:
        return revision(ztag.check(worker=worker, tls=tls)) == "one"
    except grpc.RpcError:
        return False
