"""Where a host is."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Say whether a host, an address or `localhost`, is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
