"""What one section cannot see: checks between the sections, and the insecure choices in force.

The checks run on whatever sections are right by themselves, so that a mistake in one does not hide those in others.
"""

from collections.abc import Iterator, Sequence
from os.path import normpath
from typing import Any

from msgspec import Struct
from pydantic import TypeAdapter, ValidationError

from ztag_extauthz.admission import AdmissionSettings
from ztag_extauthz.authentication import AuthenticatorSettings
from ztag_extauthz.authorization import AuthorizerSettings
from ztag_extauthz.authorization.profiles import ProfilesSettings
from ztag_extauthz.hosts import is_loopback
from ztag_extauthz.reporting import ReporterSettings
from ztag_extauthz.revocation.settings import RevocationSettings
from ztag_extauthz.section import Section
from ztag_extauthz.settings.addresses import UNIX, split_address
from ztag_extauthz.settings.document import Path, spell
from ztag_extauthz.settings.mistakes import Finding
from ztag_extauthz.settings.models import ListenSettings, ServerSettings, Settings, TlsSettings


class Sound(Struct, frozen=True):
    """The sections that are right by themselves; None for those that are not."""

    listen: ListenSettings | None
    admission: AdmissionSettings | None
    server: ServerSettings | None
    authentication: Sequence[Any]
    authorization: Sequence[Any]
    reporting: Sequence[Any]
    revocation: RevocationSettings | None
    revokes: bool
    """Whether there is a section `revocation`."""


def sound(value: dict[str, Any]) -> Sound:
    return Sound(
        _try(ListenSettings, value.get("listen", {})),
        _try(AdmissionSettings, value.get("admission", {})),
        _try(ServerSettings, value.get("server", {})),
        _entries(AuthenticatorSettings, value.get("authentication")),
        _entries(AuthorizerSettings, value.get("authorization")),
        _entries(ReporterSettings, value.get("reporting")),
        _try(RevocationSettings, value.get("revocation")),
        bool(value.get("revocation")),
    )


def check(parts: Sound) -> Iterator[Finding]:
    """Yield what is wrong between the sections."""
    if parts.listen:
        yield from _check_addresses(parts.listen, parts.server.workers if parts.server else 1)
        yield from _check_tls(parts.listen)
        yield from _check_revocation(parts.listen, parts.revocation, missing=not parts.revokes)
    yield from _check_authentication(parts.authentication)
    yield from _check_replays(parts.authentication, parts.server.workers if parts.server else 1)
    yield from _check_realms(parts.authentication)
    yield from _check_authorization(parts.authorization)
    yield from _check_risk(parts.authorization)
    yield from _check_quotas(parts.authorization)
    yield from _check_steps(parts.authentication, parts.authorization)
    yield from _check_files(parts.reporting)
    if parts.admission and parts.admission.insecure_ambiguous_paths:
        yield from _check_profiles(parts.authorization)


def insecure(settings: Settings) -> tuple[str, ...]:
    """Return the insecure choices in force, `listen.insecure_plaintext` …; they are named at every start."""
    return tuple(_insecure(settings, ()))


def _try(kind: Any, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return None


def _entries(union: Any, entries: Any) -> list[Any]:
    return [_try(union, entry) for entry in entries] if isinstance(entries, list) else []


def _check_authorization(kinds: Sequence[Any]) -> Iterator[Finding]:
    """Limits and scores say no to too much, not who may: without a policy everybody known would be allowed."""
    if kinds and None not in kinds and not any(getattr(kind, "decides", True) for kind in kinds):
        yield ("authorization",), "no kind decides who may", "add one that does: rego"


def _check_risk(kinds: Sequence[Any]) -> Iterator[Finding]:
    """Refuse a score that no policy can read, since each is asked before it is there."""
    policies = [index for index, kind in enumerate(kinds) if getattr(kind, "decides", True)]
    for index, kind in enumerate(kinds):
        if getattr(kind, "kind", "") == "risk" and policies and policies[-1] < index:
            what = f"comes after authorization[{policies[-1]}], so that no policy could read input.risk"
            yield ("authorization", index), what, "put risk before the policies"


def _check_quotas(kinds: Sequence[Any]) -> Iterator[Finding]:
    """Refuse two that would write the same note: the places of the first would never be given back."""
    several = [index for index, kind in enumerate(kinds) if getattr(kind, "concurrent", ())][1:]
    for index in several:
        where = ("authorization", index, "concurrent")
        yield where, "another `quota` before it limits concurrency too", "list all of them in one"


def _check_steps(credentials: Sequence[Any], kinds: Sequence[Any]) -> Iterator[Finding]:
    """Refuse a step that nobody can take."""
    for index, kind in enumerate(kinds):
        if getattr(kind, "kind", "") == "step_up" and [getattr(one, "kind", "") for one in credentials] == [
            "anonymous"
        ]:
            what = "nobody could step up: anonymous is the only kind of credential"
            yield ("authorization", index), what, "add one to authentication, or leave step_up out"


def _check_files(reporters: Sequence[Any]) -> Iterator[Finding]:
    """Refuse two that would write into each other's lines."""
    first: dict[str, int] = {}
    for index, reporter in enumerate(reporters):
        file = getattr(reporter, "to", None)
        if not isinstance(file, str) or file in {"stdout", "stderr"} or file.startswith("/dev/"):
            continue
        earlier = first.setdefault(normpath(file), index)
        if earlier != index:
            yield ("reporting", index, "to"), f"is the file of reporting[{earlier}] already", "give each its own"


def _check_profiles(kinds: Sequence[Any]) -> Iterator[Finding]:
    """Refuse that a path which the upstream reads as another one chooses who decides."""
    for index, kind in enumerate(kinds):
        for number, profile in enumerate(kind.profiles if isinstance(kind, ProfilesSettings) else ()):
            if profile.when is not None and profile.when.paths:
                where = ("authorization", index, "profiles", number, "when", "paths")
                yield (
                    where,
                    "admission.insecure_ambiguous_paths lets paths through that mean another",
                    "choose by hosts",
                )


def _check_addresses(listen: ListenSettings, workers: int) -> Iterator[Finding]:
    grpc, admin = split_address(listen.grpc), split_address(listen.admin)
    if admin is None:
        yield ("listen", "admin"), "is no address", "write host:port, e.g. 127.0.0.1:9902"
    if listen.grpc.startswith(UNIX):
        if not listen.grpc.removeprefix(UNIX).startswith("/"):
            yield ("listen", "grpc"), "the socket's path is not absolute", "write unix:///run/ztag/ztag.sock"
        return
    if grpc is None:
        yield ("listen", "grpc"), "is no address", "write host:port, e.g. 127.0.0.1:9191, or unix:///path.sock"
        return
    if not is_loopback(grpc[0]) and listen.tls is None and not listen.insecure_plaintext:
        remedy = "add listen.tls, listen on loopback or a UNIX socket, or set listen.insecure_plaintext: true"
        yield ("listen", "grpc"), "plain text on an address that others can reach", remedy
    if not is_loopback(grpc[0]) and listen.tls and not listen.insecure_any_client:
        yield from _check_clients(listen.tls)
    if grpc[1] and grpc[1] + workers - 1 > 65535:
        yield ("listen", "grpc"), f"{workers} workers need {workers} ports from {grpc[1]} on", "take a lower port"
    if admin and admin[1] and grpc[1] <= admin[1] < grpc[1] + workers:
        remedy = "each worker has a port of its own, from that of listen.grpc on"
        yield ("listen", "admin"), f"port {admin[1]} belongs to a worker", remedy


def _check_revocation(
    listen: ListenSettings, revocation: RevocationSettings | None, *, missing: bool
) -> Iterator[Finding]:
    """Whoever is believed has to reach us, and what we are told must not be read on the way."""
    told = revocation is not None and bool(revocation.operators or revocation.transmitters)
    if listen.revocation is None:
        if told:
            remedy = "add listen.revocation: host:port, e.g. 127.0.0.1:9903"
            yield ("revocation",), "operators or transmitters, but no listener that they could reach", remedy
        if listen.revocation_tls:
            yield ("listen", "revocation_tls"), "needs listen.revocation", "add it, or leave both out"
        return
    if missing or (revocation is not None and not told):
        remedy = "add revocation.operators or revocation.transmitters"
        yield ("listen", "revocation"), "nobody may revoke there", remedy
    address = split_address(listen.revocation)
    if address is None:
        yield ("listen", "revocation"), "is no address", "write host:port, e.g. 127.0.0.1:9903"
    elif not is_loopback(address[0]) and listen.revocation_tls is None and not listen.insecure_plaintext:
        remedy = "add listen.revocation_tls, listen on loopback, or set listen.insecure_plaintext: true"
        yield ("listen", "revocation"), "plain text on an address that others can reach", remedy


def _check_clients(tls: TlsSettings) -> Iterator[Finding]:
    """Whoever may ask is told what the policy says of anybody, and what the answer adds to a request."""
    or_else = "or set listen.insecure_any_client: true"
    if tls.client_ca is None:
        remedy = f"add client_ca and allowed_clients, {or_else}"
        yield ("listen", "tls", "client_ca"), "anybody may ask on an address that others can reach", remedy
    elif not tls.allowed_clients:
        what = "whoever has a certificate of client_ca may ask on an address that others can reach"
        yield ("listen", "tls", "allowed_clients"), what, f"list the SPIFFE ids or DNS names of the Envoys, {or_else}"


def _check_tls(listen: ListenSettings) -> Iterator[Finding]:
    if listen.tls and listen.tls.allowed_clients and listen.tls.client_ca is None:
        remedy = "add listen.tls.client_ca: without it no client shows a certificate"
        yield ("listen", "tls", "allowed_clients"), "needs client_ca", remedy
    if listen.tls and listen.grpc.startswith(UNIX):
        remedy = "leave listen.tls out: the permissions of the socket's file say who may connect"
        yield ("listen", "tls"), "there is no TLS on a UNIX socket", remedy


def _check_authentication(entries: Sequence[Any]) -> Iterator[Finding]:
    issuers: dict[str, int] = {}
    for index, entry in enumerate(entries):
        path: Path = ("authentication", index)
        if getattr(entry, "kind", "") == "anonymous" and index < len(entries) - 1:
            yield path, "anonymous answers for everybody, so no later kind would be asked", "move it to the end"
        # An issuer may give out tokens of both sorts, those that are read and those that it is asked about.
        issuer = None if getattr(entry, "kind", "") == "introspection" else getattr(entry, "issuer", None)
        if isinstance(issuer, str) and issuer in issuers:
            yield (*path, "issuer"), f"is the issuer of authentication[{issuers[issuer]}] already", "join the two"
        elif isinstance(issuer, str):
            issuers[issuer] = index


def _check_replays(entries: Sequence[Any], workers: int) -> Iterator[Finding]:
    for index, entry in enumerate(entries):
        dpop = getattr(entry, "dpop", None)
        if dpop is not None and dpop.redis is None and workers > 1:
            why = f"{workers} workers do not know of each other's proofs, so each could be shown a proof again"
            yield ("authentication", index, "dpop"), why, "add dpop.redis, or keep server.workers: 1"


def _check_realms(entries: Sequence[Any]) -> Iterator[Finding]:
    """Whoever shows nothing in a header gets one challenge for it, whose realm is that of the first entry."""
    first: dict[tuple[str, str], int] = {}
    for index, entry in enumerate(entries):
        realm, header = getattr(entry, "realm", None), getattr(entry, "header", None)
        if not isinstance(realm, str) or not isinstance(header, str):
            continue
        prefix = getattr(entry, "prefix", None)
        scheme = prefix if isinstance(prefix, str) else "Bearer" if header.lower() == "authorization" else ""
        earlier = first.setdefault((header.lower(), scheme.lower()), index)
        if realm != entries[earlier].realm and "realm" in entry.model_fields_set:
            why = f"differs from that of authentication[{earlier}], which is told for {header.lower()}"
            yield ("authentication", index, "realm"), why, "write the same realm in both, or leave this one out"


def _insecure(value: Any, path: Path) -> Iterator[str]:
    if isinstance(value, Section):
        for name in type(value).model_fields:
            chosen = getattr(value, name)
            if (name.startswith("insecure_") and chosen) or (name == "dry_run" and chosen is True):
                yield spell((*path, name))
            yield from _insecure(chosen, (*path, name))
    elif isinstance(value, tuple):
        for index, entry in enumerate(value):
            yield from _insecure(entry, (*path, index))
