"""`ztag serve` as processes: starts, deaths, reloads, drains, as an operator sees them."""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from tests.server.client import channel, check, connect, watch
from tests.server.conftest import Shared
from tests.server.process import Ztag, request, revision, serving, until, write_policy
from ztag_extauthz.server.supervisor import _ONE_SIGNAL, with_temporary_folder


class TestStart:
    def test_one_line_names_an_endpoint_a_worker(self, shared: Shared) -> None:
        assert len(set(shared.ztag.addresses)) == 2
        for worker in (0, 1):
            assert revision(shared.ztag.check(worker=worker)) == "one"

    def test_unix_sockets_come_and_go(self, folder: Path, kind: str) -> None:
        with serving(folder, listen={"grpc": f"unix://{folder}/z.sock"}, server={"workers": 2, "engine": kind}) as ztag:
            assert ztag.addresses == [f"unix://{folder}/z.sock", f"unix://{folder}/z.1.sock"]
            assert revision(ztag.check(worker=1)) == "one"
            assert {path.stat().st_mode & 0o777 for path in folder.glob("*.sock")} == {0o660}
            ztag.signal(signal.SIGTERM)
            assert ztag.wait() == 0
        assert not list(folder.glob("*.sock"))

    def test_the_sockets_mode_is_the_settings(self, folder: Path, kind: str) -> None:
        listen = {"grpc": f"unix://{folder}/z.sock", "socket_mode": "0600"}
        with serving(folder, listen=listen, server={"workers": 1, "engine": kind}) as ztag:
            assert revision(ztag.check()) == "one"
            assert (folder / "z.sock").stat().st_mode & 0o777 == 0o600

    def test_mistakes_of_the_settings_are_all_printed(self, folder: Path) -> None:
        with serving(folder, server={"workers": 0, "engin": "h2corn"}, authentication=[]) as ztag:
            assert (ztag.line, ztag.wait()) == ("", 2)
            assert all(name in ztag.log for name in ("server.workers", "server.engin", "authentication"))

    def test_mistakes_of_the_policies_are_printed_once(self, folder: Path) -> None:
        (folder / "policy.rego").write_text("package envoy.authz\nresult := {\n")
        with serving(folder) as ztag:
            assert (ztag.line, ztag.wait()) == ("", 2)
            assert ztag.log.count("policy.rego:") == 1

    def test_an_address_in_use_is_named(self, folder: Path) -> None:
        with serving(folder) as first, serving(folder, listen={"grpc": first.addresses[0]}) as second:
            assert (second.line, second.wait()) == ("", 2)
            told = f"listen.grpc: cannot listen on {first.addresses[0]}: Address already in use (end the process"
            assert told in second.log

    def test_reflection_where_it_is_asked_for(self, folder: Path, kind: str) -> None:
        with serving(folder, server={"workers": 1, "engine": kind, "reflection": True}) as ztag:
            assert services_of(ztag.addresses[0]) >= {"envoy.service.auth.v3.Authorization", "grpc.health.v1.Health"}

    def test_an_admin_listener_that_others_reach_is_named(self, folder: Path) -> None:
        with serving(folder, listen={"admin": "0.0.0.0:0"}, server={"workers": 1}) as ztag:
            assert "open: whoever reaches listen.admin (0.0.0.0:0)" in ztag.log

    def test_insecure_choices_are_named(self, folder: Path) -> None:
        with serving(folder, admission={"insecure_ambiguous_paths": True}) as ztag:
            assert "insecure: admission.insecure_ambiguous_paths" in ztag.log


class TestAdmin:
    def test_paths(self, shared: Shared) -> None:
        assert shared.ztag.get("/livez") == (200, "ok\n")
        assert shared.server["engine"] == json.loads(shared.ztag.get("/version")[1])["engine"]
        assert shared.ztag.get("/nope")[0] == 404
        until(lambda: shared.ztag.get("/readyz")[0] == 200)
        assert [worker["accepting"] for worker in shared.ztag.ready()["workers"]] == [True, True]

    def test_metrics_are_summed_over_the_workers(self, shared: Shared) -> None:
        ztag = shared.ztag
        counters = ("ztag_check_seconds_count", 'ztag_decisions_total{outcome="allow",reason="",stage="authorization"}')
        before = [ztag.metric(name) for name in counters]
        for worker in (0, 0, 1):
            ztag.check(worker=worker)
        assert [ztag.metric(name) for name in counters] == [count + 3 for count in before]
        assert ztag.metric("ztag_in_flight") == 0
        assert ztag.metric("ztag_worker_up") == 2
        assert ztag.metric("ztag_worker_resident_memory_bytes") > 2 * 10_000_000
        assert "# EOF" in ztag.get("/metrics", {"accept": "application/openmetrics-text; version=1.0.0"})[1]

    def test_keys_that_cannot_be_had_hold_up_neither_start_nor_other_requests(self, folder: Path) -> None:
        issuer = "http://127.0.0.1:1"
        jwt = {"kind": "jwt", "issuer": issuer, "audiences": ["mesh"], "algorithms": ["RS256"]}
        with serving(folder, authentication=[jwt, {"kind": "anonymous"}], server={"workers": 1}) as ztag:
            assert revision(ztag.check()) == "one"
            assert ztag.get("/readyz")[0] == 503
            unready = [entry for entry in ztag.ready()["workers"][0]["components"] if not entry["ready"]]
            assert [issuer in entry["component"] for entry in unready] == [True]
            with channel(ztag.addresses[0]) as opened:
                assert next(watch(opened)(b"", timeout=5)) == b"\x08\x02"


class TestDeaths:
    def test_never_5_a_killed_worker_is_replaced_on_its_endpoint(self, ztag: Ztag) -> None:
        ztag.check(worker=0)
        killed = ztag.workers()
        os.kill(killed[0], signal.SIGKILL)
        until(lambda: len(ztag.workers()) == 2 and ztag.workers() != killed)
        until(lambda: ztag.metric("ztag_worker_up") == 2)
        for worker in (0, 1):
            assert revision(ztag.check(worker=worker)) == "one"
        assert "ended with signal 9; starting it again" in ztag.log
        assert ztag.metric("ztag_check_seconds_count") == 3

    def test_never_5_connections_wait_while_a_worker_is_replaced(self, folder: Path) -> None:
        with serving(folder, server={"workers": 1}) as ztag:
            os.kill(ztag.workers()[0], signal.SIGKILL)
            assert revision(ztag.check()) == "one"

    def test_a_worker_that_hangs_is_replaced(self, folder: Path) -> None:
        with serving(folder, server={"workers": 1}) as ztag:
            os.kill(ztag.workers()[0], signal.SIGSTOP)
            until(lambda: "worker 0 has hung" in ztag.log)
            assert revision(ztag.check()) == "one"

    def test_a_worker_that_cannot_be_started_is_started_later(self, folder: Path) -> None:
        with serving(folder, server={"workers": 1}) as ztag:
            soft, hard = resource.prlimit(ztag.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(ztag.process.pid, resource.RLIMIT_NOFILE, (3, hard))
            os.kill(ztag.workers()[0], signal.SIGKILL)
            until(lambda: "worker 0 cannot be started: " in ztag.log)
            resource.prlimit(ztag.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert revision(ztag.check()) == "one"

    def test_workers_end_with_their_supervisor(self, ztag: Ztag) -> None:
        workers = ztag.workers()
        ztag.signal(signal.SIGKILL)
        ztag.wait()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))

    def test_never_5_a_worker_that_finds_a_bad_policy_serves_what_was_accepted_last(self, folder: Path) -> None:
        with serving(folder, server={"workers": 1}) as ztag:
            (folder / "policy.rego").write_text("package")
            until(lambda: "reload refused" in ztag.log)
            for _ in range(2):
                os.kill(ztag.workers()[0], signal.SIGKILL)
                assert revision(ztag.check()) == "one"
            until(lambda: "serves what was accepted last" in ztag.log)
            assert ztag.log.count("policy.rego:") >= 2
            write_policy(folder, "two")
            until(lambda: revision(ztag.check()) == "two")
            (folder / "policy.rego").write_text("package")
            until(lambda: ztag.log.count("reload refused") == 2)
            os.kill(ztag.workers()[0], signal.SIGKILL)
            assert revision(ztag.check()) == "two"


class TestDrain:
    def test_never_5_sigterm_answers_what_is_under_way(self, folder: Path, kind: str) -> None:
        server = {"workers": 1, "engine": kind, "drain_delay": 0.5, "drain_timeout": 5.0}
        with serving(folder, server=server) as ztag, channel(ztag.addresses[0]) as opened:
            watched = watch(opened)(b"", timeout=10)
            assert next(watched) == b"\x08\x01"
            ztag.signal(signal.SIGTERM)
            assert next(watched) == b"\x08\x02"
            assert ztag.ready()["draining"] is True
            assert ztag.get("/readyz")[0] == 503
            assert check(opened)(request("/"), timeout=5)
            assert ztag.wait() == 0

    def test_a_second_signal_ends_at_once(self, folder: Path) -> None:
        with serving(folder, server={"workers": 1, "drain_delay": 60.0}) as ztag:
            ztag.signal(signal.SIGTERM)
            until(lambda: ztag.ready()["draining"] is True)
            time.sleep(_ONE_SIGNAL)
            ztag.signal(signal.SIGINT)
            assert ztag.wait() == 1

    def test_signals_that_come_together_are_one(self, folder: Path) -> None:
        with serving(folder, server={"workers": 1, "drain_delay": 0.5}) as ztag:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
                ztag.signal(number)
            assert ztag.wait() == 0
            assert "ended, exit code 0" in ztag.log

    def test_idle_connections_hold_up_nothing(self, ztag: Ztag) -> None:
        idle = [connect(address) for address in ztag.addresses]
        ztag.signal(signal.SIGTERM)
        assert ztag.wait() == 0
        for opened in idle:
            opened.close()


def services_of(address: str) -> set[str]:
    """Ask for the list of services, as grpcurl does."""
    asked = ServerReflectionRequest(list_services="*")
    with channel(address) as opened:
        method = opened.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            ServerReflectionRequest.SerializeToString,
            ServerReflectionResponse.FromString,
        )
        answer = next(method(iter((asked,)), timeout=5))
    return {service.name for service in answer.list_services_response.service}


def test_help_needs_no_server() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "ztag_extauthz", "serve", "--help"], capture_output=True, check=True
    )
    assert b"--config" in printed.stdout


def test_a_root_that_is_read_only_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    with_temporary_folder()
    assert tempfile.gettempdir() == "/dev/shm"  # noqa: S108
