"""Where a notification may be sent: what a URL must look like, and which addresses are nobody's to be sent to.

A URL is refused here for its spelling alone. What its name stands for is known when it is resolved, and checked then,
by whoever connects, at each connection.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from freehold.vocabulary.errors import BadRequest

URL_LETTERS_MAX: Final = 2000
HOST_LETTERS_MAX: Final = 253

_LETTERS: Final = re.compile(r"[!#-;=?-\[\]_a-z~]+")
"""What RFC 3986 lets a URL be made of."""
_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_BRACKETED: Final = re.compile(r"\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
"""A last label like this makes a host an IPv4 address to some resolvers: 127.1, 0x7f000001, 2130706433, 0177.0.0.1."""

PORTS_LOW: Final = (80, 443)
"""Of those below 1024, which are services' own."""
PORTS_BAD: Final = frozenset(
    (1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080)
)
"""Of the others, those that speak something that can be confused with HTTP (WHATWG Fetch, "bad port")."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Receiver(NamedTuple):
    """A URL's parts that decide where it leads."""

    scheme: str
    host: str
    """A name, or an address without brackets."""
    port: int


def receiver_of(url: str) -> Receiver:
    """Where `url` leads. Raises BadRequest with what is wrong about it."""
    if not url or len(url) > URL_LETTERS_MAX or not _LETTERS.fullmatch(url):
        raise BadRequest(f"A URL has 1 to {URL_LETTERS_MAX} letters, those of RFC 3986; encode others as %XX or xn--.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadRequest("The URL can't be read: its host or port isn't one.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest("The URL must begin with https:// or http:// and a host.")
    if "@" in parts.netloc or "#" in url:
        raise BadRequest("The URL has a user name or a fragment: leave it out. What is sent is signed instead.")
    host, port = parts.hostname, (443 if parts.scheme == "https" else 80) if port is None else port
    _check_host(host, parts.netloc)
    if (port < 1024 and port not in PORTS_LOW) or port in PORTS_BAD:
        raise BadRequest(f"The URL has port {port}; it can be 80, 443, or from 1024 on what no other service has.")
    return Receiver(parts.scheme, host, port)


def _check_host(host: str, netloc: str) -> None:
    if netloc.startswith("["):
        try:
            if not _BRACKETED.fullmatch(netloc) or not isinstance(ip_address(host), IPv6Address):
                raise ValueError
        except ValueError as error:
            raise BadRequest("The URL's host isn't an IPv6 address.") from error
        return
    labels = host.split(".")
    if len(host) > HOST_LETTERS_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadRequest("The URL's host isn't a name as DNS has it, without a dot at its end.")
    if _NUMBER.fullmatch(labels[-1]) and not _is_ipv4(host):
        raise BadRequest("The URL's host is a number, but not an IPv4 address as usually written: 192.0.2.7.")


def _is_ipv4(host: str) -> bool:
    try:
        return str(IPv4Address(host)) == host
    except ValueError:
        return False


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(one) for one in text.split())


_INSIDE: Final[tuple[tuple[str, tuple[Network, ...]], ...]] = (
    ("this machine", _networks("127.0.0.0/8 ::1/128")),
    ("no address at all", _networks("0.0.0.0/8 ::/128")),
    ("a private network", _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10")),
    ("a provider's inside (100.64.0.0/10)", _networks("100.64.0.0/10")),
    ("the link it is on, where clouds have their metadata", _networks("169.254.0.0/16 fe80::/10")),
    ("a cloud's metadata", _networks("168.63.129.16/32 192.0.0.0/24")),
    ("many", _networks("224.0.0.0/4 ff00::/8 255.255.255.255/32")),
    ("a documentation's example", _networks("192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20")),
    ("a laboratory's network", _networks("198.18.0.0/15 2001:2::/48 5f00::/16")),
    ("nobody yet", _networks("240.0.0.0/4 192.88.99.0/24 100::/64")),
    ("an IPv4 address in another's clothes", _networks("::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 2001::/32 2002::/16")),
    ("a network's own translator", _networks("64:ff9b:1::/48")),
    ("a protocol's own", _networks("2001::/23")),
)
"""Networks whose addresses are no receiver's (IANA's registries of special purposes, and what clouds have beyond)."""

_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""An IPv4 address as a network of IPv6 alone has it: it is what it holds."""
_GLOBAL: Final = IPv6Network("2000::/3")


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks by their text, as an operator allows them. Raises BadRequest for what isn't one."""
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise BadRequest(f"a network is written like 10.1.0.0/16 or fd00:1::/48: {error}") from error


def inside(address: str, allowed: Sequence[Network] = ()) -> str:
    """Why nothing is sent to an address, as who has it; empty if something is. `allowed`: networks that may be."""
    try:
        found: Address = ip_address(address.partition("%")[0])
    except ValueError:
        return "no address at all"
    if any(found in network for network in allowed if network.version == found.version):
        return ""
    if isinstance(found, IPv6Address) and found in _TRANSLATED:
        return inside(str(IPv4Address(int(found) & 0xFFFFFFFF)), allowed)
    for whose, held in _INSIDE:
        if any(found in network for network in held if network.version == found.version):
            return whose
    return "nobody yet" if isinstance(found, IPv6Address) and found not in _GLOBAL else ""


def refused_host(host: str, allowed: Sequence[Network] = ()) -> str:
    """The same of a URL's host, if it is an address; a name is refused when it is resolved."""
    return inside(host, allowed) if ":" in host or _is_ipv4(host) else ""


def refused_url(url: str, allowed: tuple[Network, ...]) -> str:
    """Why nothing is sent to a URL, as far as can be told without looking its host's name up; empty: it may be."""
    try:
        host = receiver_of(url).host
    except BadRequest as error:
        return error.message
    whose = refused_host(host, allowed)
    return f"{host} belongs to {whose}; nothing is sent there." if whose else ""
