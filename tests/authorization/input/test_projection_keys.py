"""However a request came to be described, a key that two of them share stands for one document."""

from itertools import combinations, product
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.authorization.parts import FAR, engine
from tests.envoy.checks import ALICE, request
from ztag_extauthz.authorization.cache.encoding import pack
from ztag_extauthz.authorization.input import opa_input
from ztag_extauthz.authorization.input.projection import Projection
from ztag_extauthz.model import Context
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.frozen import InputPath, follow, freeze
from ztag_extauthz.rego.reads import Reads

HTTP = ("attributes", "request", "http")
PATHS: list[InputPath] = [
    *((*HTTP, name) for name in ("method", "host", "path", "scheme")),
    *((*HTTP, "headers", name) for name in ("x-api-key", "a", "zone", ":authority")),
    (*HTTP, "protocol"),
    ("attributes", "contextExtensions", "a"),
    ("parsed_path",),
    ("parsed_path", 0),
    ("parsed_query",),
    ("parsed_query", "a", 0),
    ("parsed_body",),
    ("source_principal",),
    ("identity", "subject"),
    ("GET",),
]
WORDS = ("GET", "CONNECT", "")


def described(
    method: str, host: str, path: str, fields: dict[str, str], *, scheme: str = "https", is_listed: bool = False
) -> CheckRequest:
    """What Envoy says of a request; `fields` in `header_map` where they are listed."""
    message = CheckRequest()
    message.attributes.source.principal = fields.get("zone", "")
    message.attributes.context_extensions.update({"a": host} if host else {})
    http = message.attributes.request.http
    http.method, http.host, http.path, http.scheme = method, host, path, scheme
    for name, value in {":method": method, ":authority": host, ":path": path, **fields}.items():
        if is_listed:
            http.header_map.headers.add(key=name, raw_value=value.encode())
        else:
            http.headers[name] = value
    return message


def reads(deep: frozenset[InputPath], exists: frozenset[InputPath] = frozenset()) -> Reads:
    return Reads(deep, exists, frozenset(), frozenset())


Asked = list[tuple[Context, Any]]
"""Requests, each with its whole document."""


def whole(context: Context) -> tuple[Context, Any]:
    return context, opa_input.build(context)


def apart(asked: Asked, projection: Projection, paths: list[InputPath]) -> None:
    """One key, one document; and in that, each path finds what it finds in the whole."""
    known: dict[Any, str] = {}
    packed: dict[bytes, Any] = {}
    for context, document_of_all in asked:
        reading = projection.read(context)
        document = projection.document(reading)
        assert known.setdefault(reading.key, dumps(document)) == dumps(document)
        assert packed.setdefault(pack(reading.key), reading.key) == reading.key
        for path in paths:
            assert freeze(follow(document, path)) == freeze(follow(document_of_all, path))


MIXED = [
    whole(Context(request(described(method, host, f"/{key}", {name: key}, is_listed=is_listed)), ALICE))
    for method, host, key, name, is_listed in product(
        ("GET", "CONNECT"), ("", "GET", "CONNECT"), ("GET", "CONNECT"), ("x-api-key", "X-Api-Key"), (False, True)
    )
]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_never_4_a_key_says_of_which_path_each_of_its_pieces_is(size: int) -> None:
    for paths in combinations(PATHS[:7], size):
        apart(MIXED, Projection(reads(frozenset(paths))), list(paths))


texts = st.sampled_from(WORDS)
fields = st.dictionaries(st.sampled_from(["x-api-key", "X-Api-Key", "a", "zone"]), texts)
paths = st.sampled_from(["/", "/GET", "/GET?a=CONNECT", "/CONNECT?a=GET&a=1", "/?a", "", "GET:443", "/CONNECT?"])
messages = st.builds(
    described, texts, texts, paths, fields, scheme=st.sampled_from(["https", "", "GET"]), is_listed=st.booleans()
)


@settings(max_examples=100)
@given(st.lists(messages, min_size=2, max_size=20), st.sets(st.sampled_from(PATHS), min_size=1, max_size=5), st.data())
def test_never_4_two_requests_with_one_key_have_one_document(
    asked: list[CheckRequest], chosen: set[InputPath], data: st.DataObject
) -> None:
    deep = {path for path in chosen if not any(path[:length] in chosen for length in range(len(path)))}
    shallow = data.draw(st.sets(st.sampled_from(sorted(deep, key=repr))))
    project = Projection(reads(frozenset(deep - shallow), frozenset(shallow)))
    facts = data.draw(st.lists(st.dictionaries(st.just("GET"), texts), min_size=len(asked), max_size=len(asked)))
    contexts = [whole(Context(request(each), ALICE, known)) for each, known in zip(asked, facts, strict=True)]
    apart(contexts, project, sorted(deep - shallow, key=repr))


def test_never_4_the_answer_to_a_method_is_not_given_for_a_header_of_that_text() -> None:
    policy = engine(
        'default result := false\nresult if input.attributes.request.http.method == "GET"\n'
        'result if input.attributes.request.http.headers["x-api-key"] == "s3cret"'
    )
    project = Projection(policy.reads())
    reader = project.read(Context(request(described("GET", "shop.example", "/", {"x-api-key": "CONNECT"})), ALICE))
    writer = project.read(Context(request(described("CONNECT", "", "/", {"x-api-key": "GET"})), ALICE))
    assert reader.key != writer.key
    assert policy.evaluate(project.document(reader), FAR) is True
    assert policy.evaluate(project.document(writer), FAR) is False
