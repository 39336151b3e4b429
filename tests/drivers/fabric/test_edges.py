"""The rules where a network goes on beyond the machine; what they do to packets is in tests/live/test_overlay.py."""

import re
from pathlib import Path

from freehold.config import read
from freehold.drivers.fabric import edges
from freehold.drivers.fabric.beyond import NOTHING_BEYOND, Edge, Underlay, beyond_of
from freehold.drivers.fabric.interface import Elsewhere
from freehold.drivers.fabric.records import NetworkRecord, Range

UNDERLAY = Underlay("192.0.2.1", 4790, "und0")


def elsewhere(*addresses: str) -> Elsewhere:
    ports = tuple((f"fa:16:3e:00:00:{number:02x}", address) for number, address in enumerate(addresses))
    return Elsewhere(network="n", ports=ports)


def record(**fields: object) -> NetworkRecord:
    ranges = (Range(cidr="10.0.0.0/24", gateway="10.0.0.1"), Range(cidr="10.0.1.0/24", gateway=None))
    return NetworkRecord(**{"id": "n", "slot": 7, "mtu": 1450, "reachable": False, "ranges": ranges, **fields})  # type: ignore[arg-type]


def test_senders_change_by_what_differs_and_a_repeat_changes_nothing() -> None:
    lines = list(edges.senders("t", 100, elsewhere("192.0.2.2", "192.0.2.3"), elsewhere("192.0.2.3", "192.0.2.3")))
    assert lines == [
        "add element inet t senders { 192.0.2.2 . 0x000064 }",
        "delete element inet t senders { 192.0.2.2 . 0x000064 }",
        "add element inet t senders { 192.0.2.3 . 0x000064 }",
    ]
    assert list(edges.senders("t", 100, None, None)) == []


def test_a_host_without_underlay_has_no_rules_for_one() -> None:
    assert (edges.underlay(None), edges.leaving(None), edges.local(None)) == ((), (), ())
    assert NOTHING_BEYOND.edge("host", record()) is None


def test_the_port_and_an_interface_for_the_overlay_alone_are_as_they_are_set() -> None:
    assert all("udp dport 4790" in rule for rule in edges.underlay(UNDERLAY))
    assert 'oifname "und0" counter drop' in edges.leaving(UNDERLAY)
    assert not any("oifname" in rule for rule in edges.leaving(Underlay("192.0.2.1")))


def test_what_leads_out_is_known_by_the_network() -> None:
    given = {"underlay_address": "192.0.2.1", "underlay_interface": "und0", "physical_networks": {"public": "eth1"}}
    beyond = beyond_of(read(None, state=Path("/srv"), **given))
    assert beyond.underlay == Underlay("192.0.2.1", 4789, "und0")
    tunnel = beyond.edge("host", record(segment=5))
    assert tunnel is not None and re.fullmatch(r"fhx[0-9a-f]{11}", tunnel.link)
    assert tunnel.keeps == ("169.254.169.254", "10.0.0.1")
    # The gateway of a physical network is on its wire, and is asked for across it.
    assert beyond.edge("host", record(physical="public")) == Edge("eth1", ("169.254.169.254",))
    tagged = beyond.edge("host", record(physical="public", vlan=7))
    assert tagged is not None and re.fullmatch(r"fhv[0-9a-f]{11}", tagged.link)
    assert beyond.edge("host", record(physical="lab")) is None
