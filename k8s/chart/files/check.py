"""What `helm test` runs in the cluster: ztag is ready, healthy and answers one Check."""

import os
import urllib.request

import grpc
from envoy.service.auth.v3 import external_auth_pb2

SERVING = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse{status: SERVING}


def main() -> None:
    host = os.environ["HOST"]
    with urllib.request.urlopen(f"http://{host}:{os.environ['ADMIN_PORT']}/readyz", timeout=5) as response:
        print("readyz", response.status)
    if os.environ["PLAINTEXT"] != "true":
        print("the gRPC port wants a client certificate; readiness is what can be seen from here")
        return
    with grpc.insecure_channel(f"{host}:{os.environ['GRPC_PORT']}") as channel:
        health = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5)
        if health != SERVING:
            raise SystemExit(f"health is {health!r}")
        check = channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
        answer = external_auth_pb2.CheckResponse.FromString(check(request(host), timeout=5))
    if answer == external_auth_pb2.CheckResponse():
        raise SystemExit("an empty answer, which Envoy would read as allow")
    print("check answered with status", answer.status.code)


def request(host: str) -> bytes:
    message = external_auth_pb2.CheckRequest()
    message.attributes.request.http.method = "GET"
    message.attributes.request.http.path = "/helm-test"
    message.attributes.request.http.host = host
    message.attributes.request.http.headers[":path"] = "/helm-test"
    return message.SerializeToString()


main()
