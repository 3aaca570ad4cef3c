"""Which hosts and which addresses a sandbox may reach. Pure."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""An IPv4 address in an IPv6 one, translated by a router on the way (RFC 6052)."""


@dataclass(frozen=True)
class WaysOut:
    """What one command may reach, and what only its repository would let it; entries as `allowed` takes them."""

    hosts: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @staticmethod
    def of(hosts: Iterable[str], refused: Iterable[str] = ()) -> "WaysOut":
        """In lower case, as names are compared."""
        return WaysOut(*(tuple(name.lower() for name in names) for names in (hosts, refused)))

    def __bool__(self) -> bool:
        return bool(self.hosts or self.refused)

    def objection(self, host: str) -> str | None:
        """Why a host is not to be reached; None when it is."""
        if not self:
            return "this command has no network"
        if allowed(host, self.hosts):
            return None
        if allowed(host, self.refused):
            return "the rule allowed_hosts of the organisation's policy does not have it"
        return "the host is not on the allow-list"


def allowed(host: str, hosts: Iterable[str]) -> bool:
    """Whether an allow-list has the host: by its name, or as one below a name that begins with `*.`."""
    name = host.lower().removesuffix(".")
    return any(name.endswith(entry[1:]) if entry.startswith("*.") else name == entry for entry in hosts)


def is_public(address: Address) -> bool:
    """Whether an address is out on the internet: not this machine, its networks, or a cloud's metadata service."""
    embedded = _embedded(address)
    if embedded is not None:
        return is_public(embedded)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address is only another form of."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
