"""What a network address says of who is there. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address


def network(peer: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 network of 64 bits, which is one household."""
    match _parse(peer):
        case IPv4Address() as address:
            return str(address)
        case IPv6Address() as address:
            return str(IPv6Network((address, 64), strict=False))
        case None:
            return peer


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    address = _parse(host)
    return host == "localhost" if address is None else address.is_loopback


def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, and no name."""
    return _parse(text) is not None


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """The address without its zone; IPv4 that came as IPv6 (RFC 4291 section 2.5.5.2) as IPv4."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
