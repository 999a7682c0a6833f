"""Typed configuration → YAML with the reasons beside the settings."""

import re
from collections.abc import Mapping
from typing import Any

import betterproto2
import yaml

NOTES: Mapping[str, str] = {
    "access_log": "decision_id is the id of ztag's audit line.",
    "early_header_mutation_extensions": "Only ztag says who asks: a client's copies go before anything runs.",
    "normalize_path": "What the upstream reads must be what was decided on: one spelling for a path.",
    "headers_with_underscores_action": "Some upstreams read x_user as x-user.",
    "grpc_service": "The timeout is ztag's deadline. A check changes nothing, so a lost one is asked again elsewhere.",
    "status_on_error": "Errors are refused with 503, and so can be told from denials.",
    "failure_mode_allow": "true would let every request pass while ztag is away.",
    "validate_mutations": "A header that is not valid HTTP is an error, never sent on.",
    "include_peer_certificate": "For policies on the caller's certificate.",
    "with_request_body": "Cut at the limit; a policy that reads the body sees truncated_body then.",
    "encode_raw_headers": "Each field by itself: repeated ones are seen.",
    "lb_policy": "One endpoint a worker: an HTTP/2 connection stays with one process.",
    "health_checks": "A worker that drains or is not ready gets no more checks.",
    "circuit_breakers": "Envoy's own limit, 1,024, would refuse what the workers can still answer.",
}
ALWAYS_SHOWN: Mapping[str, tuple[str, Any]] = {"validate_mutations": ("failure_mode_allow", False)}
"""Defaults that a reader looks for; each stands before the key that it is listed under."""


def to_plain(message: Any) -> dict[str, Any]:
    """Return a typed message as plain values with Envoy's own names."""
    plain: dict[str, Any] = _explicit(message.to_dict(casing=betterproto2.Casing.SNAKE))
    return plain


def to_yaml(plain: Mapping[str, Any] | list[Any]) -> str:
    """Return YAML, with a note above the first of each setting that needs one."""
    lines: list[str] = []
    noted: set[str] = set()
    for line in yaml.safe_dump(plain, sort_keys=False, width=120).splitlines():
        match = re.match(r"( *)(?:- )?(\w+):", line)
        key = match[2] if match else ""
        if match and key in NOTES and key not in noted:
            noted.add(key)
            lines.append(f"{match[1]}# {NOTES[key]}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _explicit(value: Any) -> Any:
    if isinstance(value, list):
        return [_explicit(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    shown: dict[str, Any] = {}
    for key, entry in value.items():
        if key in ALWAYS_SHOWN:
            shown.setdefault(*ALWAYS_SHOWN[key])
        shown[key] = _explicit(entry)
    return shown
