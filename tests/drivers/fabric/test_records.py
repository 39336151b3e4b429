"""What a host remembers of its ports and networks."""

import uuid
from pathlib import Path

import msgspec
import pytest

from freehold.drivers.fabric.interface import Elsewhere, Filter
from freehold.drivers.fabric.records import NetworkRecord, Records
from freehold.vocabulary.errors import Conflict
from freehold.vocabulary.network import PortWiring

NETWORK = str(uuid.uuid4())


def wiring(number: int, network: str = NETWORK) -> PortWiring:
    return PortWiring(
        port=str(uuid.uuid4()), network=network, network_name="net", segment=1, mtu=1450,
        mac=f"fa:16:3e:00:00:{number:02x}", addresses=(f"10.0.0.{number}",), cidr="10.0.0.0/24", gateway="10.0.0.1",
    )  # fmt: skip


def test_records_are_read_again(tmp_path: Path) -> None:
    records = Records(tmp_path)
    port = records.port_for(wiring(5), "web")
    network = NetworkRecord(id=NETWORK, slot=7, mtu=1450, reachable=True, ranges=(), segment=1)
    records.save_port(port)
    records.save_network(network)
    again = Records(tmp_path)
    assert again.ports == {port.wiring.port: port}
    assert again.networks == {NETWORK: network}
    again.drop_port(port.wiring.port)
    again.drop_network(NETWORK)
    emptied = Records(tmp_path)
    assert not emptied.ports
    assert not emptied.networks


def test_a_damaged_record_is_dropped_and_a_draft_is_not_read(tmp_path: Path) -> None:
    records = Records(tmp_path)
    kept, damaged = (records.port_for(wiring(number), "web") for number in (5, 6))
    records.save_port(kept)
    records.save_port(damaged)
    (tmp_path / "ports" / f"{damaged.wiring.port}.json").write_bytes(b'{"wiring": ')
    (tmp_path / "ports" / f"{uuid.uuid4()}.draft").write_bytes(b"{")
    (tmp_path / "ports" / "passwd.json").write_bytes(b"{")
    assert list(Records(tmp_path).ports) == [kept.wiring.port]


def test_marks_are_unique_and_used_again(tmp_path: Path) -> None:
    records = Records(None)
    ports = []
    for number in (5, 6, 7):
        ports.append(records.port_for(wiring(number), "web"))
        records.save_port(ports[-1])
    assert [port.mark for port in ports] == [1, 2, 3]
    records.drop_port(ports[1].wiring.port)
    assert records.port_for(wiring(8), "web").mark == 2


def test_a_port_that_is_known_keeps_its_mark_and_filter(tmp_path: Path) -> None:
    records = Records(None)
    port = wiring(5)
    known = records.port_for(port, "web")
    filtered = Filter(port=port.port, rules=())
    records.save_port(type(known)(wiring=port, hostname="web", mark=9, filter=filtered))
    again = records.port_for(port, "other")
    assert (again.mark, again.filter, again.hostname) == (9, filtered, "other")


def test_what_an_earlier_version_wrote_of_a_filter_is_taken_over(tmp_path: Path) -> None:
    """It wrote the members of a remote group down with each rule that names it."""
    records, group = Records(tmp_path), str(uuid.uuid4())
    port = records.port_for(wiring(5), "web")
    records.save_port(port)
    rule = {"id": "r", "direction": "ingress", "remote_group": group}
    (path,) = (tmp_path / "ports").glob("*.json")
    earlier = msgspec.json.decode(path.read_bytes())
    earlier["filter"] = {"port": port.wiring.port, "rules": [{"rule": rule, "remote_addresses": ["10.0.0.9"]}]}
    path.write_bytes(msgspec.json.encode(earlier))
    for again in (Records(tmp_path), Records(tmp_path)):
        kept = again.ports[port.wiring.port].filter
        assert kept is not None and [one.remote_group for one in kept.rules] == [group]
        assert again.members == {group: ("10.0.0.9",)}


def test_a_port_does_not_move_to_another_network_while_it_is_plugged() -> None:
    records = Records(None)
    port = wiring(5)
    records.save_port(records.port_for(port, "web"))
    moved = msgspec.structs.replace(port, network=str(uuid.uuid4()))
    with pytest.raises(Conflict, match="another network"):
        records.port_for(moved, "web")


def test_what_is_known_of_other_hosts_is_read_again_and_goes_with_its_network(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.save_network(NetworkRecord(id=NETWORK, slot=7, mtu=1450, reachable=False, ranges=(), segment=1))
    there = Elsewhere(network=NETWORK, ports=(("fa:16:3e:00:00:05", "192.0.2.2"),))
    records.keep_elsewhere(NETWORK, there)
    records.save_hosts(("192.0.2.1", "192.0.2.2"))
    again = Records(tmp_path)
    assert again.elsewhere == {NETWORK: there}
    assert again.hosts == ("192.0.2.1", "192.0.2.2")
    again.drop_network(NETWORK)
    assert Records(tmp_path).elsewhere == {}


def test_a_network_of_an_earlier_version_has_the_segment_of_its_ports(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.save_port(records.port_for(msgspec.structs.replace(wiring(5), segment=77), "web"))
    records.save_network(NetworkRecord(id=NETWORK, slot=7, mtu=1450, reachable=False, ranges=()))
    assert Records(tmp_path).networks[NETWORK].segment == 77
