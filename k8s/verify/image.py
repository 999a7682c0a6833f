"""`python -m k8s.verify.image [FOLDER]`: the image's content without a container engine.

Fills an environment as the Dockerfile does (`envoy/install.sh`), in FOLDER or a temporary one, and starts it as the
image's user, who owns nothing of it: it has to be ready within `START_SECONDS`, and to have written nothing but below
/tmp and in shared memory. Needs root, to become somebody else.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from msgspec import Struct

from ztag_extauthz.demo.processes import free_ports

ROOT = Path(__file__).parents[2]
USER = 65532
START_SECONDS = 1.5
STARTS = 5
KEPT = "/var/tmp"  # noqa: S108 - what is staged must not lie below the /tmp that the image gets
READ_ONLY = f"""
mount --bind / /
mount -o remount,ro,bind /
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /dev/shm
exec setpriv --reuid {USER} --regid {USER} --clear-groups "$@"
"""
"""In a mount namespace of its own: only /tmp and shared memory can be written to, and both are empty."""
POLICY = 'package envoy.authz\n\nresult := {"allowed": true}\n'


def stage(folder: Path) -> Path:
    """Build the environment, as the Dockerfile does, and return it."""
    environment = folder / "opt" / "ztag"
    python = python_for_all()
    run(python, "-m", "venv", "--without-pip", environment)
    run("envoy/install.sh", environment)
    return environment


def python_for_all() -> str:
    """Return a Python that the image's user can run: ours may stand in somebody's home."""
    for candidate in (os.path.realpath(sys.executable), "/usr/local/bin/python3", "/usr/bin/python3"):
        try:
            if subprocess.run([candidate, "-c", ""], check=False, user=USER, group=USER, cwd="/").returncode == 0:
                return candidate
        except OSError:
            continue
    raise SystemExit("no Python that every user can run: install python3 for all")


class Start(Struct, frozen=True):
    """What it took to be ready."""

    seconds: float
    processor: float
    """Seconds of all processes together: what does not depend on who else is busy."""


def started(environment: Path, work: Path) -> Start:
    """Start ztag as the image's user, wait for its ready line, and end it."""
    grpc, admin = free_ports(2)
    settings = {
        "listen": {"grpc": f"127.0.0.1:{grpc}", "admin": f"127.0.0.1:{admin}"},
        "authentication": [{"kind": "anonymous"}],
        "authorization": [
            {"kind": "quota", "limits": [{"name": "subject", "limit": "100/minute", "by": ["subject"]}]},
            {"kind": "risk"},
            {"kind": "rego", "policies": ["authz.rego"], "decision": "envoy/authz/result"},
        ],
    }
    (work / "ztag.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (work / "authz.rego").write_text(POLICY, encoding="utf-8")
    serve = [str(environment / "bin" / "ztag"), "serve", "--config", str(work / "ztag.yaml")]
    command = ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", *serve]
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "NUMBA_CPU_NAME": "generic",
        "HOME": "/nonexistent",
    }
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/", env=variables) as child:
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        line = next((text for text in child.stdout if text.startswith("ready ")), "")
        taken = Start(time.monotonic() - began, processor_seconds(child.pid))
        child.terminate()
    if not line or child.returncode != 0:
        raise SystemExit(f"ztag ended with {child.returncode}")
    return taken


def processor_seconds(pid: int) -> float:
    """Return what a process and its descendants have used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return own + sum(processor_seconds(int(child)) for child in children)


def written_since(folder: Path, moment: float) -> list[str]:
    """Return what was written below a folder since a moment (Unix seconds)."""
    return [str(path) for path in folder.rglob("*") if path.lstat().st_mtime > moment]


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT)


def verify(folder: Path) -> list[str]:
    """Return what is wrong with the image's content."""
    environment = stage(folder)
    os.chmod(folder, 0o755)  # noqa: PTH101, S103 - somebody else has to read it
    with tempfile.TemporaryDirectory(prefix="ztag-config-", dir=KEPT) as name:
        os.chmod(name, 0o755)  # noqa: PTH101, S103
        moment = time.time()
        starts = [started(environment, Path(name)) for _ in range(STARTS)]
    size = sum(path.lstat().st_size for path in environment.rglob("*"))
    times = ", ".join(f"{start.seconds:.2f} ({start.processor:.2f} of a processor)" for start in starts)
    print(f"{size / 1e6:.0f} MB, as user {USER}, at a load of {os.getloadavg()[0]:.1f}, ready in seconds: {times}")
    return [*too_slow(starts), *written_since(folder, moment)]


def too_slow(starts: list[Start]) -> list[str]:
    """Say whether not even the quickest start was in time. On a machine that is busy, only processor time tells."""
    busy = os.getloadavg()[0] > (os.cpu_count() or 1)
    quickest = min(start.processor if busy else start.seconds for start in starts)
    what = "used a processor for" if busy else "took"
    return (
        [f"the quickest start {what} {quickest:.2f} s, more than {START_SECONDS}"] if quickest > START_SECONDS else []
    )


def main() -> int:
    if os.geteuid() != 0:
        print("needs root, to become the image's user")
        return 1
    with tempfile.TemporaryDirectory(prefix="ztag-image-", dir=KEPT) as name:
        problems = verify(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(name))
    print(*(problems or ["image: nothing written, started in time"]), sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
