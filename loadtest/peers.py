"""ztag beside the real opa-envoy-plugin: the same policy, the same tokens, asked in turn over gRPC.

    python -m loadtest.peers [--rounds 5] [--requests 10000]

The plugin verifies the tokens in Rego (`io.jwt.decode_verify`), as its users do, for that is all it can; ztag does by
its `jwt` authenticator, and writes its audit log besides. ztag has one worker, the plugin as many threads as there are
cores. A round asks each once; the ratios are taken within a round. CPU is the server process's own.
"""

import argparse
import json
from contextlib import ExitStack

from loadtest.bench import console
from loadtest.contract import plugin
from loadtest.corpus import AUDIENCE, ISSUER
from loadtest.servers import Own, Target, ask_in_turn, show
from loadtest.workload import ROOT, Workload, workload

_IDENTITY = """
bearer := substring(input.attributes.request.http.headers.authorization, 7, -1)

verified := io.jwt.decode_verify(bearer, {{"cert": {keys}, "iss": "{issuer}", "aud": "{audience}", "alg": "RS256"}})

default identity := {{"kind": "anonymous", "subject": "anonymous", "claims": {{}}}}

identity := {{"kind": "jwt", "subject": verified[2].sub, "claims": verified[2]}} if verified[0]
"""


def policy(load: Workload) -> str:
    """Return the example policy with `input.identity` made in Rego."""
    keys = json.dumps((load.folder / "jwks.json").read_text())
    identity = _IDENTITY.format(keys=keys, issuer=ISSUER, audience=AUDIENCE)
    return (ROOT / "policy/envoy/authz.rego").read_text().replace("input.identity", "identity") + identity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000, help="requests a round and server")
    arguments = parser.parse_args()
    with workload() as load, ExitStack() as stack:
        peer = stack.enter_context(plugin.started(plugin.built(), policy(load), "envoy/authz/result"))
        targets = [
            Target("opa-envoy-plugin", peer.address, peer.pid, load.messages),
            Own("ztag, one worker", "h2corn", load),
            Own("ztag, constant answer", "h2corn", load, "constant"),
        ]
        for target in targets:
            stack.callback(target.close)
        ask_in_turn(console, targets, arguments.rounds, arguments.requests)
        show(console, targets)


if __name__ == "__main__":
    main()
