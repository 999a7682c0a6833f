"""A real Envoy that answers allowed requests itself, and says what an upstream would have been told."""

from collections.abc import Sequence
from typing import Any

from loadtest.load.open_loop import Ask
from ztag_extauthz.demo.issuer import Issuer

TOLD = "x-told-user"
USERS = 20


def answer_itself(document: dict[str, Any]) -> None:
    """Change an Envoy's configuration so that no upstream is needed, which in Python would be the slowest part."""
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
        del route["route"]
        route["direct_response"] = {"status": 200}
        header = {"key": TOLD, "value": "%REQ(x-user)%"}
        route["response_headers_to_add"] = [{"header": header}]


def asks(issuer: Issuer) -> Sequence[Ask]:
    """Return allowed, denied and forged requests, each with its right answer; of ten, seven are allowed."""
    users = [f"user-{number}" for number in range(USERS)]
    tokens = {user: issuer.token(user) for user in users}
    made = []
    for number, user in enumerate(users):
        allowed = (f"/orders/{number}", tokens[user], 200, f"{TOLD}: {user}\r\n")
        denied = (f"/admin/{number}", tokens[user], 403, "")
        forged = (f"/orders/{number}", issuer.forged(user) if number < 3 else tokens[user][:-8] + "AAAAAAAA", 401, "")
        made += [
            allowed,
            allowed,
            allowed,
            denied,
            allowed,
            forged,
            allowed,
            allowed,
            ("/orders", "", 401, ""),
            allowed,
        ]
    return [Ask(request(path, token), status, proof.encode()) for path, token, status, proof in made]


def request(path: str, token: str) -> bytes:
    """Return a request that claims to be root's, with a token where there is one."""
    credential = f"authorization: Bearer {token}\r\n" if token else ""
    fields = "host: shop.example\r\nuser-agent: loadtest\r\nx-user: root\r\n"
    return f"GET {path} HTTP/1.1\r\n{fields}{credential}\r\n".encode()
