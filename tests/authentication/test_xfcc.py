from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authentication.parts import conformance
from ztag_extauthz.authentication import xfcc
from ztag_extauthz.authentication.xfcc import XfccError


def certificate_in(header: str) -> str:
    first = xfcc.fields(xfcc.elements(header)[0])
    return xfcc.decoded((first.get("cert") or first["chain"])[0]).decode()


def lookup(case: dict[str, Any]) -> str:
    headers = {name.lower(): value for name, value in case["headers"].items()}
    found: str = headers[(case["header_name"] or xfcc.HEADER).lower()]
    return found


def single(element: str) -> dict[str, str]:
    return {name: values[0] for name, values in xfcc.fields(element).items()}


def right(case: dict[str, Any]) -> Any:  # noqa: PLR0911 - one for each kind of case
    match case["kind"]:
        case "header":
            found = xfcc.elements(case["header"])
            first = single(found[0])
            return len(found) == case["elements"] and all(first[key] == case["first"][key] for key in case["first"])
        case "certificate":
            return certificate_in(case["header"]) == case["certificate"]
        case "lookup":
            return lookup(case) == case["value"]
        case "elements":
            return xfcc.elements(case["header"]) == case["elements"]
        case "pairs":
            return xfcc.pairs(case["element"]) == case["pairs"]
        case "key_value":
            return xfcc.key_value(case["pair"]) == (case["key"], case["value"])
        case "element":
            return single(case["element"]) == case["fields"]
        case unknown:
            raise AssertionError(unknown)


def test_every_published_case_is_right() -> None:
    cases = conformance("xfcc-cases.json")["cases"]
    wrong = []
    for case in cases:
        try:
            good = right(case)
        except (XfccError, KeyError, IndexError):
            good = False
        if good != case["ok"]:
            wrong.append(case)
    assert wrong == []
    assert len(cases) == 33


@pytest.mark.parametrize(
    ("element", "fields"),
    [
        (r'Subject="CN=\"a\",O=b"', {"subject": ('CN="a",O=b',)}),
        (r'Subject="a\\";URI=x', {"subject": ("a\\",), "uri": ("x",)}),
        (r'Subject="\";URI=spiffe://evil/x"', {"subject": ('";URI=spiffe://evil/x',)}),
        ("URI=a;URI=b;DNS=c;DNS=d", {"uri": ("a", "b"), "dns": ("c", "d")}),
        ("uri=a;URI=b", {"uri": ("a", "b")}),
        ("URI=", {"uri": ("",)}),
        ("By=a;;URI=b;", {"by": ("a",), "uri": ("b",)}),
    ],
)
def test_s09_quotes_hide_what_they_hold(element: str, fields: dict[str, tuple[str, ...]]) -> None:
    assert xfcc.fields(element) == fields


@pytest.mark.parametrize("header", ['Subject="a', 'Subject="a\\"', '"', 'URI=a;"'])
def test_s09_a_quote_that_is_not_closed_is_no_header(header: str) -> None:
    with pytest.raises(XfccError):
        xfcc.elements(header)


def test_a_part_without_equals_is_no_header() -> None:
    with pytest.raises(XfccError):
        xfcc.fields("By=a;URI")


@given(
    st.lists(st.dictionaries(st.sampled_from(["By", "URI", "Subject"]), st.text(max_size=20), min_size=1), max_size=4)
)
def test_s09_whatever_stands_in_quotes_stays_one_value(wanted: list[dict[str, str]]) -> None:
    def quoted(value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    header = ",".join(";".join(f"{key}={quoted(value)}" for key, value in one.items()) for one in wanted)
    found = [xfcc.fields(element) for element in xfcc.elements(header)]
    assert found == [{key.lower(): (value,) for key, value in one.items()} for one in wanted]


@given(st.text('aB=;,"\\ %+', max_size=60))
def test_whatever_comes_is_read_or_refused(header: str) -> None:
    try:
        for element in xfcc.elements(header):
            xfcc.fields(element)
            xfcc.decoded(element)
    except XfccError:
        pass
