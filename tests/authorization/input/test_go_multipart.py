from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.authorization.input.go_multipart import MAX_PARTS, media_type, parse
from ztag_extauthz.authorization.input.parse_error import ParseError

TYPE = "multipart/form-data; boundary=b"


def part(name: str, content: str, *headers: str) -> str:
    lines = (f'Content-Disposition: form-data; name="{name}"', *headers)
    return "--b\r\n" + "".join(f"{line}\r\n" for line in lines) + f"\r\n{content}\r\n"


def body(*parts: str) -> bytes:
    return ("".join(parts) + "--b--\r\n").encode()


def test_values_are_gathered_by_name() -> None:
    assert parse(body(part("a", "1"), part("b", "x\r\ny"), part("a", "2")), TYPE) == {"a": ["1", "2"], "b": ["x\r\ny"]}


def test_json_parts_are_decoded() -> None:
    assert parse(body(part("j", '{"x": [1]}', "Content-Type: application/json")), TYPE) == {"j": [{"x": [1]}]}
    with pytest.raises(ParseError):
        parse(body(part("j", "{x", "Content-Type: application/json")), TYPE)


def test_quoted_printable_is_decoded_and_base64_is_not() -> None:
    quoted = part("q", "a=3Db=\r\nc", "Content-Transfer-Encoding: Quoted-Printable")
    encoded = part("e", "YQ==", "Content-Transfer-Encoding: base64")
    assert parse(body(quoted, encoded), TYPE) == {"q": ["a=bc"], "e": ["YQ=="]}


def test_files_are_values_and_nameless_parts_are_dropped() -> None:
    file = '--b\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n\r\ntext\r\n'
    nameless = "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n"
    attachment = '--b\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n'
    malformed = "--b\r\nContent-Disposition: form-data; name\r\n\r\n1\r\n"
    bare = "--b\r\n\r\n1\r\n"
    assert parse(body(file, nameless, attachment, malformed, bare), TYPE) == {"f": ["text"]}


@pytest.mark.parametrize(
    "text",
    [
        "preamble\r\n" + part("a", "1") + "--b--\r\nepilogue",
        part("a", "1") + "--b--",
        part("a", "1").replace("\r\n", "\n") + "--b--\n",
        part("a", "1").replace("--b\r\n", "--b \t\r\n") + "--b-- \r\n",
        '--b\r\nContent-Disposition: form-data;\r\n name="a"\r\nX: y\r\n\r\n1\r\n--b--\r\n',
    ],
)
def test_forms_that_go_reads(text: str) -> None:
    assert parse(text.encode(), TYPE) == {"a": ["1"]}


def test_parts_without_content_and_bodies_without_parts() -> None:
    assert parse(b"--b--\r\n", TYPE) == {}
    assert parse(b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n--b--', TYPE) == {"a": [""]}
    assert parse(b"--b\r\n\r\n--b--\r\n", TYPE) == {}
    assert parse(body(part("a", "--bx")), TYPE) == {"a": ["--bx"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no delimiter",
        part("a", "1"),
        "--c\r\n\r\n1\r\n--c--\r\n",
        "--b\r\nbroken header\r\n\r\n1\r\n--b--\r\n",
        "--b\r\nNo: end",
        part("a", "1") + "--b junk\r\n--b--\r\n",
        "--b",
    ],
)
def test_forms_that_go_refuses(text: str) -> None:
    with pytest.raises(ParseError):
        parse(text.encode(), TYPE)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data;"])
def test_no_boundary_gives_nothing(content_type: str) -> None:
    assert parse(body(part("a", "1")), content_type) is None


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=b; boundary=c",
        "multipart/; boundary=b",
        "xmultipart/form-data/b; boundary=b",
    ],
)
def test_content_types_that_go_refuses(content_type: str) -> None:
    with pytest.raises(ParseError):
        parse(body(part("a", "1")), content_type)


def test_s34_there_is_a_bound_to_the_parts() -> None:
    with pytest.raises(ParseError, match="too many"):
        parse(b"--b\r\n\r\n" * (MAX_PARTS + 1) + b"--b--", TYPE)


def test_parameters_are_unquoted() -> None:
    assert media_type('Form-Data; name="a\\"b\\\\c\\d"; x=y ;') == ("form-data", {"name": 'a"b\\c\\d', "x": "y"})


_NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), min_size=1, max_size=10)
_CONTENTS = st.text(st.characters(codec="utf-8"), max_size=40).filter(lambda text: "--b" not in text)


@given(st.lists(st.tuples(_NAMES, _CONTENTS), max_size=5))
def test_a_written_form_comes_back(pairs: list[tuple[str, str]]) -> None:
    expected: dict[str, list[str]] = {}
    for name, content in pairs:
        expected.setdefault(name, []).append(content)
    assert parse(body(*(part(name, content) for name, content in pairs)), TYPE) == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_refused(octets: bytes) -> None:
    with suppress(ParseError):
        parse(b"--b\r\n" + octets, TYPE)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("line", [b" ", b"\t", b" a", b" \r", b": "])
def test_headers_of_blanks_take_linear_time(line: bytes) -> None:
    with pytest.raises(ParseError):
        parse(b"--b\r\na: b\r\n" + line * 200_000 + b"\0", TYPE)
