"""Where the cluster's ports are, by network: what the network worker says of its ports and of the hosts' addresses."""

from freehold.drivers.fabric.interface import Elsewhere
from freehold.vocabulary.network import Carrier, Port


class Whereabouts:
    """Kept up entry by entry, so that one port's news costs its network and not the cluster."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}
        """Host -> its underlay address."""
        self._ports: dict[str, dict[str, tuple[str, str]]] = {}
        """Network -> port -> (MAC, host)."""
        self._told: dict[str, dict[str, Elsewhere]] = {}
        """By network, and for whom it is."""
        self._hosts: tuple[str, ...] | None = None

    def clear(self) -> None:
        """Nothing is known any more."""
        self._addresses.clear()
        self._ports.clear()
        self._told.clear()
        self._hosts = None

    def put_carrier(self, host: str, carrier: Carrier | None) -> bool:
        """A host is on the underlay, or no more. Whether that is news of where it is."""
        before, address = self._addresses.pop(host, ""), "" if carrier is None else carrier.address
        if address:
            self._addresses[host] = address
        if address == before:
            return False
        self._told.clear()
        self._hosts = None
        return True

    def put_port(self, before: Port | None, port: Port | None) -> bool:
        """A port is as it is now, and not as it was. Whether that is news of where it is: in a cluster without an
        underlay there is nothing to look for.
        """
        if _place(before) == _place(port):
            return False  # most of what is told of a port is something else
        if before is not None:
            self._told.pop(before.network, None)
            ports = self._ports.get(before.network, {})
            ports.pop(before.id, None)
            if not ports:
                self._ports.pop(before.network, None)
        if port is not None and port.host:
            self._told.pop(port.network, None)
            self._ports.setdefault(port.network, {})[port.id] = (port.mac, port.host)
        return bool(self._addresses)

    def hosts(self) -> tuple[str, ...]:
        """The underlay addresses of the cluster's hosts, in order."""
        if self._hosts is None:
            self._hosts = tuple(sorted(set(self._addresses.values())))
        return self._hosts

    def of(self, network: str, host: str) -> Elsewhere:
        """The ports of a network that others than `host` carry and that can be reached."""
        told = self._told.setdefault(network, {})
        if host not in told:
            ports = self._ports.get(network, {}).values() if self._addresses else ()
            elsewhere = ((mac, at) for mac, at in ports if at != host and at in self._addresses)
            pairs = sorted((mac, self._addresses[at]) for mac, at in elsewhere)
            told[host] = Elsewhere(network=network, ports=tuple(pairs))
        return told[host]


def _place(port: Port | None) -> tuple[str, str, str] | None:
    return None if port is None or not port.host else (port.network, port.mac, port.host)
