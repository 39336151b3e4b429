"""IPv4 ranges: what a subnet may be, and which address comes next."""

from collections.abc import Container, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.errors import BadRequest, Conflict
from freehold.vocabulary.network import Subnet

PREFIX_BITS_MIN: Final = 8
PREFIX_BITS_MAX: Final = 29
DNS_MAX: Final = 5
ROUTES_MAX: Final = 20

_NOT_FOR_GUESTS: Final = tuple(
    # This host, loopback, link-local (the metadata address is there), multicast, reserved.
    IPv4Network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
)

Span = tuple[int, int]
"""First and last address as numbers, both included."""


def parse_range(text: str) -> IPv4Network:
    """The range that a subnet may have. Host bits are dropped, as Neutron does. BadRequest says what is wrong."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise BadRequest(f"'{text}' is not a CIDR such as 10.0.0.0/24.") from None
    if isinstance(network, IPv6Network):
        raise BadRequest(f"'{text}' is IPv6; this cloud's guest networks carry IPv4 only.")
    if not PREFIX_BITS_MIN <= network.prefixlen <= PREFIX_BITS_MAX:
        raise BadRequest(
            f"The range {network} is too large or too small: a subnet is /{PREFIX_BITS_MIN} to /{PREFIX_BITS_MAX}."
        )
    for other in _NOT_FOR_GUESTS:
        if network.overlaps(other):
            raise BadRequest(f"The range {network} overlaps {other}, which can't be used by guests.")
    return network


def parse_address(text: str) -> IPv4Address:
    """An IPv4 address. BadRequest if `text` isn't one."""
    try:
        address = ip_address(text)
    except ValueError:
        raise BadRequest(f"'{text}' is not an IP address.") from None
    if isinstance(address, IPv6Address):
        raise BadRequest(f"'{text}' is IPv6; this cloud's guest networks carry IPv4 only.")
    return address


def checked(subnet: Subnet) -> Subnet:
    """`subnet` in canonical form with its defaults filled in.

    `gateway` "": the first address; None: there is none. `pools` empty: all that is left.
    Raises BadRequest for what can't be, Conflict for pools that overlap one another or hold the gateway.
    """
    network = parse_range(subnet.cidr)
    gateway = _gateway(network, subnet.gateway)
    if len(subnet.dns) > DNS_MAX:
        raise BadRequest(f"A subnet has at most {DNS_MAX} name servers; {len(subnet.dns)} were given.")
    return replace(
        subnet,
        cidr=str(network),
        gateway=None if gateway is None else str(gateway),
        pools=_checked_pools(network, gateway, subnet.pools) if subnet.pools else _default_pools(network, gateway),
        dns=tuple(str(parse_address(text)) for text in subnet.dns),
        routes=_checked_routes(subnet.routes),
    )


def _gateway(network: IPv4Network, wanted: str | None) -> IPv4Address | None:
    if wanted is None:
        return None
    address = parse_address(wanted) if wanted else network[1]
    if address not in network or address in (network.network_address, network.broadcast_address):
        raise BadRequest(f"The gateway {address} is not an address for a machine in {network}.")
    return address


def _default_pools(network: IPv4Network, gateway: IPv4Address | None) -> tuple[tuple[str, str], ...]:
    first, last = int(network[1]), int(network[-2])
    if gateway is None:
        return (_as_text((first, last)),)
    spans = ((first, int(gateway) - 1), (int(gateway) + 1, last))
    return tuple(_as_text(span) for span in spans if span[0] <= span[1])


def _checked_pools(
    network: IPv4Network, gateway: IPv4Address | None, pools: Iterable[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    spans = sorted((int(parse_address(first)), int(parse_address(last))) for first, last in pools)
    for span in spans:
        text = "{}-{}".format(*_as_text(span))
        if span[0] > span[1]:
            raise BadRequest(f"The allocation pool {text} ends before it begins.")
        if span[0] < int(network[1]) or span[1] > int(network[-2]):
            raise BadRequest(f"The allocation pool {text} is not within the addresses for machines of {network}.")
        if gateway is not None and span[0] <= int(gateway) <= span[1]:
            raise Conflict(f"The gateway {gateway} is inside the allocation pool {text}.")
    for before, after in pairwise(spans):
        if after[0] <= before[1]:
            raise Conflict("The allocation pools {}-{} and {}-{} overlap.".format(*_as_text(before), *_as_text(after)))
    return tuple(_as_text(span) for span in spans)


def _checked_routes(routes: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    if len(routes) > ROUTES_MAX:
        raise BadRequest(f"A subnet has at most {ROUTES_MAX} host routes; {len(routes)} were given.")
    checked_routes = []
    for destination, next_hop in routes:
        try:
            network = IPv4Network(destination, strict=False)
        except ValueError:
            raise BadRequest(f"The host route's destination '{destination}' is not an IPv4 CIDR.") from None
        checked_routes.append((str(network), str(parse_address(next_hop))))
    return tuple(checked_routes)


def _as_text(span: Span) -> tuple[str, str]:
    return str(IPv4Address(span[0])), str(IPv4Address(span[1]))


class AddressBook:
    """Who holds which address of a subnet. Every verb takes constant time on average, however large the range.

    New addresses come from a mark that goes once through the pools; behind it, those given back wait in the order of
    their return, so that an address rests as long as possible before somebody else gets it.
    """

    def __init__(self, subnet: Subnet) -> None:
        self.network = IPv4Network(subnet.cidr)
        self.gateway = None if subnet.gateway is None else int(IPv4Address(subnet.gateway))
        self.holders: dict[int, str] = {}
        """Address -> port id."""
        self._spans = tuple((int(IPv4Address(first)), int(IPv4Address(last))) for first, last in subnet.pools)
        self._returned: dict[int, None] = {}
        self._span = 0
        self._mark = self._spans[0][0] if self._spans else 0

    def take(self, address: str, port: str) -> None:
        """Records a holder. The first one stays where rows contradict one another."""
        number = int(IPv4Address(address))
        self.holders.setdefault(number, port)
        self._returned.pop(number, None)

    def give_back(self, address: str, port: str) -> None:
        """Records that `port` holds it no more."""
        number = int(IPv4Address(address))
        if self.holders.get(number) != port:
            return
        del self.holders[number]
        if self._is_behind_mark(number):
            self._returned[number] = None

    def next_free(self, besides: Container[int] = ()) -> int | None:
        """A free address of the pools that isn't among `besides`, not yet taken; None if there is none."""
        self._move_mark()
        return next(
            (number for number in self._candidates() if number not in self.holders and number not in besides), None
        )

    def check_given(self, address: str, besides: Container[int] = ()) -> int:
        """The number of an address that somebody asks for, in or outside the pools.

        BadRequest: not an address for a machine here. Conflict: taken.
        """
        number = int(parse_address(address))
        if IPv4Address(number) not in self.network:
            raise BadRequest(f"The address {address} is not in the subnet {self.network}.")
        if number in (int(self.network.network_address), int(self.network.broadcast_address)):
            raise BadRequest(f"The address {address} is the network or broadcast address of {self.network}.")
        if number == self.gateway:
            raise Conflict(f"The address {address} is the gateway of {self.network}.")
        if number in self.holders or number in besides:
            raise Conflict(f"The address {address} is already in use on {self.network}.")
        return number

    def _move_mark(self) -> None:
        # Only over what is taken: each address is passed once in the life of the book.
        while self._span < len(self._spans):
            last = self._spans[self._span][1]
            while self._mark <= last and self._mark in self.holders:
                self._mark += 1
            if self._mark <= last:
                return
            self._span += 1
            if self._span < len(self._spans):
                self._mark = self._spans[self._span][0]

    def _candidates(self) -> Iterable[int]:
        for index in range(self._span, len(self._spans)):
            first, last = self._spans[index]
            yield from range(max(first, self._mark) if index == self._span else first, last + 1)
        yield from self._returned

    def _is_behind_mark(self, number: int) -> bool:
        for index, (first, last) in enumerate(self._spans):
            if first <= number <= last:
                return index < self._span or (index == self._span and number < self._mark)
        return False
