"""The guest network of one machine.

Promises of every member, checked by `tests/contract/test_fabric.py`:

- Every verb may be repeated and gives the same end, also after a crash in the middle.
- `plug` makes all that the port's network needs here when its first port comes (bridge, router with the gateway
  address, DHCP, metadata address, outbound translation), `unplug` of the last takes it all away.
- A plugged port can send only from its own MAC and addresses (Ethernet, ARP, IPv4, no DHCP answers), from its first
  packet on.
- What the port's security groups don't allow doesn't reach it; answers to what it asked do. Without groups nothing
  comes in but DHCP.
- Two networks may use the same addresses and never see one another.
- The metadata address 169.254.169.254 answers each guest by the port that the question came from, whatever its
  headers say.
- A network that is to go on beyond this machine (over the underlay to the cluster's other hosts, or on a physical
  network) does so only for what guests say to guests: DHCP, the gateway and the metadata address are each host's own,
  and what comes from beyond is filtered as what comes from here. A wiring that needs what `probe` doesn't name is
  refused.
- `reach` holds until the next one, also over a restart: a frame for a guest elsewhere goes to its host alone, and only
  hosts that carry a network can send into it.
- Taps, bridges, namespaces and rules carry this machine's host id: `plugged` finds them after a restart, and `sweep`
  deletes what isn't asked for.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from freehold.vocabulary.network import Carriage, PortWiring, Rule
from freehold.vocabulary.word import Word


class MetadataAnswer(Word, frozen=True, kw_only=True):
    """An HTTP answer to a guest."""

    status: int
    content_type: str
    body: bytes


Metadata = Callable[[str, str], Awaitable[MetadataAnswer]]
"""(port id, path such as ``/openstack/latest/meta_data.json``) -> the answer."""


class Filter(Word, frozen=True, kw_only=True):
    """What may pass a port: the rules of its groups. Who is in a remote group is told apart (`Members`)."""

    port: str
    rules: tuple[Rule, ...]


class Members(Word, frozen=True, kw_only=True):
    """The addresses that a remote group means now. A group of which nothing was told means nobody."""

    group: str
    addresses: tuple[str, ...] = ()


class Elsewhere(Word, frozen=True, kw_only=True):
    """The ports of a network that other hosts carry: (MAC, underlay address of its host), in order."""

    network: str
    ports: tuple[tuple[str, str], ...]


class Peers(Word, frozen=True, kw_only=True):
    """The cluster's other hosts, as far as this one sends to them and hears them."""

    hosts: tuple[str, ...] = ()
    """The underlay addresses of all hosts of the cluster, which are not the guests' to reach."""
    networks: tuple[Elsewhere, ...] = ()


class Fabric(Protocol):
    """See the module."""

    async def probe(self) -> Carriage:
        """What this machine can carry beyond itself.

        Raises Broken, saying what to install, switch on or set, if it can't carry guest networks, or not as it is set.
        """

    async def plug(self, wiring: PortWiring, hostname: str) -> str:
        """Makes the port's tap with its protection and its DHCP answer; gives the tap's name.

        Nothing may come in until `filter`. Raises BadRequest for a wrong wiring, Conflict if it can't be carried here.
        """

    async def reach(self, peers: Peers) -> None:
        """Puts in force where else the networks go, in place of all that was said before.

        A network that isn't here is nothing to do. Raises BadRequest for an address or MAC that can't be; then all
        stays.
        """

    async def filter(self, filters: tuple[Filter, ...], members: tuple[Members, ...] = ()) -> None:
        """Puts these filters in force for these ports, and these members of groups for all ports whose rules name them,
        each at once, without cutting connections that stay allowed.

        A filter for a port that isn't here is nothing to do. Raises BadRequest for a rule or address that can't be;
        then all stays.
        """

    async def unplug(self, port: str) -> None:
        """Takes the port away, and its network if it was the last. Connections end."""

    async def plugged(self) -> frozenset[str]:
        """The ids of the ports that are (maybe half) here."""

    async def serve_metadata(self, answer: Metadata) -> None:
        """From now on questions to 169.254.169.254 are answered by `answer`."""

    async def sweep(self, keep: frozenset[str]) -> None:
        """Unplugs all ports but `keep`; deletes networks, rules and DHCP servers that no kept port needs."""

    async def close(self) -> None:
        """Lets go: guests keep their network. Metadata isn't answered until somebody opens the fabric again."""
