"""A caller alone makes no error of a denial: where a proxy lets errors through, the request would pass."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authorization.parts import FAR
from tests.envoy.checks import ALICE, check, request, run
from ztag_extauthz.authorization.engines.embedded import Embedded
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.model import Context, Deny

POLICY: Final = r"""package p
default result := false
h := input.attributes.request.http.headers
body := input.parsed_body
result := {"allowed": false, "headers": {"x-for": h.t}, "dynamic_metadata": {"n": body.n, "t": h.t}} if h.t
result if to_number(h.x) == 5
result if to_number(h.x) * to_number(h.x) + 1 == 4
result if semver.compare(h.x, "2.0.0") == 7
result if units.parse(h.x) == 5
result if units.parse_bytes(h.x) == 5
result if time.parse_duration_ns(h.x) == 5
result if time.parse_rfc3339_ns(h.x) == 5
result if io.jwt.decode(h.x)[1].sub == "root"
result if json.unmarshal(h.x).a == 5
result if json.unmarshal(h.x) + 1 == 5
result if round(json.unmarshal(h.x)) == 5
result if sprintf("%v", [glob.match(h.x, [], "a/b")]) == "x"
result if sprintf("%v", [regex.match(h.x, "ab\n")]) == "x"
result if net.cidr_contains("10.0.0.0/8", h.x)
result if sprintf(h.x, [body]) == "x"
result if urlquery.decode(h.x) == "root"
result if { walk(body, [_, v]); v == "root" }
result if json.marshal(body) == "root"
result if {body} == {"root"}
result if {{body}} == {v | some v in body}
result if body == json.unmarshal("[[[1]]]")
result if body.n + 1 < body.n
result if round(body.n) * body.n == 7.5
result if floor(body.n / 3) == 5.5
result if sort([body, body.n])[0] == "root"
"""
REGO: Final = Rego(
    RegoSettings(kind="rego", policies=("p.rego",), decision="p/result"),
    Embedded({"p.rego": POLICY}, {}, "p/result"),
    None,
    0.0,
)
NUMBERS: Final = (
    *("1e900000000", "-1e999999999", "1e-900000000", "1e4000", "1e400", "1e1000", "1e-1000", "9" * 999, "9" * 5000),
    *("0." + "9" * 990, "-" + "9" * 5000 + ".5", "0e99999", "1_0", "0x1p-2", "0x1p99999999999", "-0", "1e5"),
)
DEEP: Final = (
    *("[" * depth + "]" * depth for depth in (90, 100, 101, 250, 900, 5000)),
    "[" * 90 + '"\\ud800"' + "]" * 90,
)
TEXTS: Final = (
    *(
        "9" * 5000 + ".0.0",
        "1.0.0-" + "9" * 5000,
        "9" * 5000 + "h",
        "1e5h",
        "999999999999h",
        "9" * 5000,
        "%9999d",
        "(",
        "[a",
    ),
    *(
        "{a,{b",
        "a{1001}",
        "\\C",
        "%zz",
        "%ff",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.e30.",
        "bnVsbA.bnVsbA.",
        "::/0",
        "1.2.3.4/99",
    ),
    *(
        "2020-13-01T00:00:00Z",
        "9999-12-31T23:59:59+23:59",
        "0001-01-01T00:00:00Z",
        "a" * 20_000,
        '{"a": 1e999999999999}',
    ),
)


def denied(headers: dict[str, str], body: str = "") -> bool:
    message = check(headers={"content-type": "application/json", **headers}, body=body)
    return isinstance(run(REGO.authorize(Context(request(message), ALICE), FAR)), Deny)


@pytest.mark.parametrize("text", [*TEXTS, *NUMBERS, *DEEP], ids=lambda text: text[:12])
def test_a_header_makes_no_error(text: str) -> None:
    assert denied({"x": text})
    assert denied({"t": text})


@pytest.mark.parametrize("text", [*NUMBERS, *DEEP], ids=lambda text: text[:12])
def test_a_body_makes_no_error(text: str) -> None:
    for body in (text, f"[{text}, {text}]", f'{{"n": {text}}}', f'{{"n": {text}, "a": [{text}]}}'):
        assert denied({}, body)
        assert denied({"t": "a\x7f"}, body)


_HEADERS = st.text(st.characters(codec="latin-1", exclude_characters="\0\r\n"), max_size=60)
_JSON = st.recursive(
    st.sampled_from(NUMBERS) | st.sampled_from(["null", "true", '"a"', '"\\ud800"']),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda members: f"[{','.join(members)}]")
        | st.dictionaries(st.sampled_from(["n", "a", ""]), inner).map(
            lambda members: "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["x", "t"]), st.sampled_from((*TEXTS, *NUMBERS)) | _HEADERS), _JSON)
def test_no_request_makes_an_error(headers: dict[str, str], body: str) -> None:
    assert denied(headers, body)
