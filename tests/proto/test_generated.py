import runpy
from pathlib import Path

from ztag_extauthz.proto.ztag.v1 import decision_pb2

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ztag_extauthz" / "proto"


def test_the_modules_are_what_the_proto_files_say(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "proto" / "generate.py"))["generate"](tmp_path)
    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*_pb2.py*")}
    kept = {path.relative_to(PACKAGE): path.read_text() for path in PACKAGE.rglob("*_pb2.py*") if path.suffix != ".pyc"}
    assert made
    assert made == kept, "run `make proto`"


def test_numbers_of_fields_stay() -> None:
    numbers = {field.name: field.number for field in decision_pb2.Decision.DESCRIPTOR.fields}
    assert numbers == {
        "id": 1,
        "time": 2,
        "request": 3,
        "identity": 4,
        "outcome": 5,
        "reason": 6,
        "detail": 7,
        "stage": 8,
        "decided_by": 9,
        "rule": 10,
        "shadowed": 11,
        "timings": 12,
        "facts": 13,
        "answer": 14,
        "policy_revision": 15,
    }
