"""Make the Python modules of the .proto files here: `python proto/generate.py`. Needs the extra `dev`."""

import re
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "ztag_extauthz" / "proto"

# protoc makes its modules refuse every runtime older than itself, though it writes nothing that protobuf 6 could not
# read. Who uses ztag chooses the runtime, so these lines go.
_VERSION = re.compile(
    r"# Protobuf Python Version: .*\n"
    r"|from google\.protobuf import runtime_version as _runtime_version\n"
    r"|_runtime_version\.ValidateProtobufRuntimeVersion\([^)]*\)\n"
)


def generate(out: Path) -> None:
    """Write a module and its types for each .proto file under `out`. Raises `SystemExit` with what protoc says."""
    sources = sorted(str(path.relative_to(HERE)) for path in HERE.rglob("*.proto"))
    well_known = files("grpc_tools") / "_proto"
    code = protoc.main(["protoc", f"-I{HERE}", f"-I{well_known}", f"--python_out={out}", f"--pyi_out={out}", *sources])
    if code:
        raise SystemExit(code)
    for module in out.rglob("*_pb2.py"):
        module.write_text(_VERSION.sub("", module.read_text()))


if __name__ == "__main__":
    generate(PACKAGE)
