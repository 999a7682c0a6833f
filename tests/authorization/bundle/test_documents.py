from decimal import Decimal
from typing import Any

import pytest

from ztag_extauthz.authorization.bundle.documents import DocumentError, data, merge, place, rego


def test_json_and_yaml_are_read() -> None:
    assert data("data.json", b'{"a": 1.10, "b": [null]}') == {"a": Decimal("1.10"), "b": [None]}
    assert data("data.yaml", b"a: 1\nb: [x, yes]\nc: 2020-01-01\n2: 2\ntrue: 3") == {
        "a": 1, "b": ["x", True], "c": "2020-01-01", "2": 2, "true": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("data.json", b"[]", "no object"),
        ("data.yaml", b"", "no object"),
        ("data.json", b'{"a": NaN}', "NaN"),
        ("data.yaml", b"a: .inf", "inf"),
        ("data.json", b"\xff", "UTF-8"),
        ("data.yaml", b"a: 1\nb: 2\na: 3", "twice"),
        ("data.yaml", b"a: &x 1\nb: *x", "alias"),
        ("data.yaml", b"a: !!python/object:os.system x", "constructor"),
        ("data.yaml", b"? [1, 2]\n: 1", "."),
        ("data.yaml", b"[" * 100_000, "deep"),
        ("data.yaml", b"? !!python/tuple [1]\n: 1", "."),
        ("data.yaml", b"2020-01-01: 1\n? !!set {a}\n: 2", "."),
        ("data.yaml", b"a: !!binary eA==", "bytes"),
        ("data.json", b"[" * 100_000, "deep"),
        ("data.json", b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "deep"),
        ("data.yaml", b"\x00", "YAML"),
    ],
)
def test_what_is_no_data_is_refused(name: str, content: bytes, what: str) -> None:
    with pytest.raises(DocumentError, match=what):
        data(name, content)


@pytest.mark.parametrize(
    ("name", "content", "at"), [("a.json", b'{\n "a" 1}', ":2:6"), ("a.yaml", b"a: 1\n b: 2", ":2:3")]
)
def test_a_mistake_has_its_place(name: str, content: bytes, at: str) -> None:
    with pytest.raises(DocumentError) as raised:
        data(name, content)
    assert raised.value.place == at


def test_a_policy_is_text() -> None:
    assert rego(b"package a") == "package a"
    with pytest.raises(DocumentError) as raised:
        rego(b"package a\n\xff")
    assert raised.value.place == ":2"
    with pytest.raises(DocumentError, match="larger"):
        rego(b" " * (8 * 1024 * 1024 + 1))


def test_documents_are_placed_and_merged() -> None:
    into: dict[str, Any] = {}
    merge(into, place({"x": 1}, ("a", "b")))
    merge(into, {"a": {"c": 2}})
    assert into == {"a": {"b": {"x": 1}, "c": 2}}


def test_two_values_for_one_name_are_a_mistake() -> None:
    with pytest.raises(DocumentError, match=r"data\.a\.b"):
        merge({"a": {"b": 1}}, {"a": {"b": 1}})
