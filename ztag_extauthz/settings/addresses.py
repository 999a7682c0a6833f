"""Addresses as the settings spell them, and which worker listens where."""

UNIX = "unix://"


def split_address(address: str) -> tuple[str, int] | None:
    """Return host and port of `host:port` (`[::1]:9191` for IPv6), or None if it is not of that form."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        return None
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare) != (host != bare) or not {"/", "[", "]"}.isdisjoint(bare):
        return None
    return bare, int(port)


def join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def endpoints(grpc: str, workers: int) -> tuple[str, ...]:
    """Return where each worker listens: the ports that follow the first, or `x.sock`, `x.1.sock`, `x.2.sock` and so on.

    Port 0 stays 0: the system chooses.
    """
    if grpc.startswith(UNIX):
        stem, dot, suffix = grpc.rpartition(".") if grpc.endswith(".sock") else (grpc, "", "")
        return (grpc, *(f"{stem}.{worker}{dot}{suffix}" for worker in range(1, workers)))
    address = split_address(grpc)
    if address is None:
        raise ValueError(f"no address: {grpc}")
    host, port = address
    return tuple(join_address(host, port + worker if port else 0) for worker in range(workers))
