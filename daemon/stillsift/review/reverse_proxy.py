"""Describes a reverse proxy that shows the server to browsers under a URL of its own.

What such a proxy says of a request is forged as easily as anything else in it. So the URL comes
from the configuration and never from a header, and only the address of the client is taken from
one (X-Forwarded-For), where the connection comes from the proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_OF_ONE_CLIENT = 64
"""Bits of an IPv6 address that its holder did not choose: a provider gives a whole /64 to one."""


@dataclass(frozen=True, slots=True)
class ReverseProxy:
    """Holds what is configured of the proxy."""

    url: str
    """Where browsers find what the server shows, with no slash at its end."""
    networks: tuple[Network, ...] = field(default=())
    """Where its connections come from."""

    @classmethod
    def at(cls, url: str, addresses: Iterable[str] = ()) -> ReverseProxy:
        """Returns the proxy of a URL and of addresses or networks, as the settings have them."""
        return cls(url, tuple(ipaddress.ip_network(each, strict=False) for each in addresses))

    @property
    def origin(self) -> str:
        """Gives what browsers name as the origin of its pages: https://box.example."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def host(self) -> str:
        """Gives its name, without the port."""
        return urlsplit(self.url).hostname or ""

    @property
    def path(self) -> str:
        """Gives the path below which it shows the server; empty: it shows nothing else."""
        return urlsplit(self.url).path

    @property
    def encrypts(self) -> bool:
        return self.url.startswith("https:")

    def client(self, peer: str, forwarded: Iterable[str]) -> str:
        """Returns the address of the client of a request.

        `peer`: where the connection comes from. `forwarded`: the values of X-Forwarded-For. A
        proxy appends the address that it saw, so the last one that is no proxy is the client, and
        what stands before it is what the client said. Where that is no address: the peer.
        """
        at = peer
        for text in reversed([one.strip() for value in forwarded for one in value.split(",")]):
            if not self._is_proxy(at) or (named := _address(text)) is None:
                break
            at = str(named)
        return at

    def _is_proxy(self, address: str) -> bool:
        at = _address(address)
        return at is not None and any(at in each for each in self.networks)


def holder(address: str) -> str:
    """Returns what stands for the holder of an address: itself, or the network of an IPv6 one."""
    at = _address(address)
    if not isinstance(at, ipaddress.IPv6Address):
        return address if at is None else str(at)
    return str(ipaddress.ip_network((at.packed, _OF_ONE_CLIENT), strict=False))


def _address(text: str) -> IpAddress | None:
    """Reads an address; an IPv4 one that IPv6 carries is that one."""
    try:
        at = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = at.ipv4_mapped if isinstance(at, ipaddress.IPv6Address) else None
    return at if mapped is None else mapped
