"""Compare ztag with a real opa-envoy-plugin: `python -m loadtest.contract`.

Documents: what a policy sees as `input`, by a policy that answers with it. Answers: what a result turns into, by a
policy that answers with what the request asks for. Exit code 1 if a difference is not among the explained ones.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from google.protobuf import json_format

from loadtest.contract import corpus, differences, plugin, shop
from ztag_extauthz.authentication.anonymous import NOBODY
from ztag_extauthz.authorization.engines.embedded import Embedded
from ztag_extauthz.authorization.input import opa_input
from ztag_extauthz.authorization.input.grpc_body import ProtoDescriptor
from ztag_extauthz.authorization.input.parse_error import ParseError
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.envoy import Encoder, decode
from ztag_extauthz.errors import CheckError
from ztag_extauthz.model import EMPTY, Context, Decision, Stage, Timings
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.settings import ResponseSettings

DOCUMENTS = """package contract
result := {"allowed": true, "headers": {"x-input": json.marshal(input)}}
"""
ANSWERS = """package contract
result := json.unmarshal(input.attributes.request.http.headers["x-result"])
"""
DECISION = "contract/result"
DESCRIPTOR = ProtoDescriptor(shop.file_descriptor_set())
FAR = 1e18

Finding = tuple[str, CheckRequest, Any, Any]


def documents(ask: plugin.Ask, requests: Iterator[CheckRequest]) -> Iterator[Finding]:
    for request in requests:
        theirs, ours = _their_document(ask, request), _our_document(request)
        yield "documents", request, theirs, ours


def _their_document(ask: plugin.Ask, request: CheckRequest) -> Any:
    try:
        response = ask(request)
    except grpc.RpcError as error:
        return f"error {error.code().name}"
    if response.status.code:
        return "400" if response.denied_response.status.code == 400 else "denied"
    return json.loads(response.ok_response.headers[0].header.value, parse_float=Decimal)


def _our_document(request: CheckRequest) -> Any:
    try:
        document = opa_input.build(Context(decode(request.SerializeToString()), NOBODY), DESCRIPTOR)
    except ParseError:
        return "400"
    del document["identity"]
    return json.loads(dumps(document), parse_float=Decimal)


def answers(ask: plugin.Ask, requests: Iterator[CheckRequest], *, dry_run: bool) -> Iterator[Finding]:
    settings = RegoSettings(kind="rego", policies=("contract.rego",), decision=DECISION, dry_run=dry_run)
    rego = Rego(settings, Embedded({"contract.rego": ANSWERS}, {}, DECISION), None, 0.0)
    encoder = Encoder(ResponseSettings(identity_headers=False))
    for request in requests:
        yield "answers", request, _their_answer(ask, request), _our_answer(rego, encoder, request)


def _their_answer(ask: plugin.Ask, request: CheckRequest) -> Any:
    try:
        return _answer(ask(request))
    except grpc.RpcError as error:
        return f"error {error.code().name}"


def _our_answer(rego: Rego, encoder: Encoder, request: CheckRequest) -> Any:
    decoded = decode(request.SerializeToString())
    try:
        verdict = asyncio.run(rego.authorize(Context(decoded, NOBODY), FAR))
    except CheckError:
        return "error UNKNOWN"
    decision = Decision("0" * 36, 0.0, verdict, Stage.AUTHORIZATION, "rego", NOBODY, EMPTY, Timings())
    return _answer(CheckResponse.FromString(encoder.encode(decoded, decision)))


def _answer(response: CheckResponse) -> Any:
    """Return what the contract says of an answer, without the additions that are ours in every answer."""
    document: dict[str, Any] = json_format.MessageToDict(response)
    metadata = document.get("dynamicMetadata", {})
    metadata.pop("ztag", None)
    if metadata.get("decision_id"):
        metadata["decision_id"] = "…"
    ok, denied = response.ok_response, response.denied_response
    own_body = any(option.header.value == "application/problem+json" for option in denied.headers)
    return {
        "code": response.status.code,
        "metadata": metadata,
        "status": denied.status.code or (403 if response.status.code else 0),
        "body": "" if own_body else denied.body.partition(": ")[0],
        "headers": _headers(ok.headers or denied.headers),
        "removed": sorted(name for name in ok.headers_to_remove if "ztag" not in name),
        "response_headers": _headers(ok.response_headers_to_add),
        "set": sorted((parameter.key, parameter.value) for parameter in ok.query_parameters_to_set),
        "unset": sorted(ok.query_parameters_to_remove),
    }


_OURS = ("x-ztag-decision-id", "x-content-type-options", "content-type")


def _headers(options: Any) -> list[tuple[str, str]]:
    pairs = ((option.header.key, option.header.value) for option in options if option.header.key not in _OURS)
    return sorted((name, value) for name, joined in pairs for value in joined.split(","))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.contract", description=__doc__)
    parser.add_argument("--opa", type=Path, help="the built opa-envoy-plugin; left out, it is built with Go")
    parser.add_argument("--requests", type=int, default=2000, help="generated requests, beside the fixed ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="print the explained differences, too")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    binary = arguments.opa or plugin.built()
    with plugin.running(binary, DOCUMENTS, DECISION, descriptor=shop.file_descriptor_set()) as ask:
        _compare(documents(ask, corpus.requests(arguments.seed, arguments.requests)), counts, verbose=arguments.all)
    for dry_run in (False, True):
        with plugin.running(binary, ANSWERS, DECISION, dry_run=dry_run) as ask:
            _compare(answers(ask, corpus.results(), dry_run=dry_run), counts, verbose=arguments.all)
    for name, count in sorted(counts.items()):
        print(f"{count:6}  {name}")
    return 1 if counts["documents: unexplained"] or counts["answers: unexplained"] else 0


def _compare(findings: Iterator[Finding], counts: Counter[str], *, verbose: bool) -> None:
    for kind, request, theirs, ours in findings:
        if theirs == ours:
            counts[f"{kind}: equal"] += 1
            continue
        why = differences.explain(kind, request, theirs, ours)
        counts[f"{kind}: {why or 'unexplained'}"] += 1
        if verbose or not why:
            print(f"--- {kind}: {why or 'UNEXPLAINED'}\n{request}theirs {_short(theirs)}\nours   {_short(ours)}")


def _short(value: Any) -> str:
    return str(value)[:2000]


if __name__ == "__main__":
    sys.exit(main())
