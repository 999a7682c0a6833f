from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.rego.documents import dumps, from_python, loads, parse_number
from ztag_extauthz.rego.values import Number, Value, compare, equal, key, make_set, ordered, unkey

SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b", "é", "👍"])
    | st.sampled_from(["1.0", "0.1", "1e0", "-0", "1e400", "2.50"]).map(Number)
)  # fmt: skip
VALUES: st.SearchStrategy[Value] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(inner.map(key), inner, max_size=3)
        | st.lists(inner, max_size=3).map(make_set)
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_equality_order_and_key_forms_agree(left: Value, right: Value) -> None:
    assert equal(left, right) == (compare(left, right) == 0) == (key(left) == key(right))
    assert compare(left, right) == -compare(right, left)
    if equal(left, right):
        assert hash(key(left)) == hash(key(right))


@given(VALUES, VALUES, VALUES)
def test_order_is_transitive(first: Value, second: Value, third: Value) -> None:
    low, middle, high = ordered([first, second, third])
    assert compare(low, middle) <= 0
    assert compare(middle, high) <= 0
    assert compare(low, high) <= 0


@given(VALUES)
def test_a_key_form_stands_for_its_value(value: Value) -> None:
    assert equal(unkey(key(value)), value)


def test_booleans_are_no_numbers() -> None:
    assert not equal(True, 1)  # noqa: FBT003
    assert not equal([True], [1])
    assert not equal({"a": [False]}, {"a": [0]})
    assert len(make_set([True, 1, False, 0, None])) == 5
    assert equal(1, Number("1.0"))


def test_types_are_ordered() -> None:
    row = [None, False, True, -1, Number("0.5"), 1, "", "a", [], [1], {}, {"a": 1}, make_set([]), make_set([1])]
    assert ordered(row[::-1]) == row


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_survives(document: Value) -> None:
    assert equal(loads(dumps(from_python(document))), from_python(document))


def test_numbers_keep_their_text() -> None:
    text = '{"a":[1,1.0,1e400,-0,0.10,123456789012345678901234567890]}'
    assert dumps(loads(text)) == text
    assert parse_number("7") == 7
    assert dumps("<é>&") == '"\\u003cé\\u003e\\u0026"'
