"""Settings: everything has a default, and what makes no sense is a sentence that names it."""

from pathlib import Path
from typing import Any

import pytest

from freehold.config import ROLES, Settings, bus_servers, listed, read
from freehold.vocabulary.errors import BadRequest


def file_of(folder: Path, text: str) -> Path:
    path = folder / "freehold.toml"
    path.write_text(text)
    return path


def test_a_state_folder_is_all_that_must_be_said() -> None:
    settings = read(None, state=Path("/srv/cloud"))
    assert settings == Settings(state=Path("/srv/cloud"))
    assert settings.listen == "127.0.0.1", "nobody else may ask unless the operator says so"
    assert (settings.roles, settings.hypervisor, settings.hosts) == (ROLES, "qemu", 1)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        'state = "/srv/cloud"\nport = 0\nhypervisor = "simulated"\nhosts = 3\nroles = ["host"]\nsimulated_boot_s = 1\n'
        'demo_image = "/srv/demo.qcow2"\n',
    )
    settings = read(path)
    assert (settings.state, settings.port, settings.hosts, settings.roles) == (Path("/srv/cloud"), 0, 3, ("host",))
    assert (settings.simulated_boot_s, settings.demo_image) == (1.0, Path("/srv/demo.qcow2"))


def test_what_is_given_goes_over_the_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, 'state = "/srv/cloud"\nport = 1\nregion = "North"\n')
    settings = read(path, state=Path("/srv/other"), port=2, region=None)
    assert (settings.state, settings.port, settings.region) == (Path("/srv/other"), 2, "North")


def test_a_bus_names_its_servers() -> None:
    assert bus_servers("local") == ()
    assert bus_servers("tls://a:4222, tls://b:4222") == ("tls://a:4222", "tls://b:4222")


def test_a_certificate_comes_with_its_key() -> None:
    given = {"state": Path("/srv"), "bus": "tls://a:4222", "bus_certificate": Path("/c.pem")}
    with pytest.raises(BadRequest, match="bus_key"):
        read(None, **given)
    assert read(None, **given, bus_key=Path("/k.pem")).bus_key == Path("/k.pem")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hypervisor", "xen"),
        ("placement", "heap"),
        ("hosts", 0),
        ("hosts", 100_001),
        ("hosts", 2),
        ("hosts", "many"),
        ("port", -1),
        ("port", 65536),
        ("roles", ["host", "cook"]),
        ("roles", "host"),
        ("cluster", ""),
        ("cluster", "a.b"),
        ("cluster", "*"),
        ("cluster", "a b"),
        ("default_zone", "a b"),
        ("bus", "rabbit"),
        ("bus", "nats://"),
        ("bus", "nats://a:4222/x"),
        ("bus", "nats://user@a:4222"),
        ("bus", "nats://a:4222,tls://b:4222"),
        ("bus_ca", "/etc/ca.pem"),
        ("image_port", 65536),
        ("log_level", "loud"),
        ("notify_networks", ["10.1.0.1/16"]),
        ("notify_networks", "10.1.0.0/16"),
        ("traits", ["HW_CPU_X86_AVX2"]),
        ("traits", ["CUSTOM_gpu"]),
        ("traits", [f"CUSTOM_{number}" for number in range(101)]),
        ("simulated_traits", {"HW_CPU_X86_AVX2": 1}),
        ("colour", "green"),
        ("state", 5),
        ("demo_image", True),
    ],
)
def test_what_makes_no_sense_is_named(name: str, value: object) -> None:
    with pytest.raises(BadRequest, match=name):
        read(None, **{"state": Path("/srv/cloud"), name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("simulated_ram_mib", 0),
        ("simulated_boot_s", -1.0),
        ("simulated_boot_s", 3601.0),
        ("simulated_boot_s", float("nan")),
    ],
)
def test_simulated_hosts_have_bounds(name: str, value: object) -> None:
    with pytest.raises(BadRequest, match="simulated"):
        read(None, **{"state": Path("/srv/cloud"), "hypervisor": "simulated", name: value})


def test_many_hosts_on_one_machine_are_simulated_ones() -> None:
    assert read(None, state=Path("/srv/cloud"), hypervisor="simulated", hosts=100_000).hosts == 100_000
    with pytest.raises(BadRequest, match="simulated ones"):
        read(None, state=Path("/srv/cloud"), hosts=2)


def test_a_cloud_needs_a_folder() -> None:
    with pytest.raises(BadRequest, match="state"):
        read(None)


@pytest.mark.parametrize("text", [b"port = ", b"\xff\xfe", b"port = 1\nport = 2\n"], ids=["cut", "not text", "twice"])
def test_a_file_that_cant_be_read_is_named(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "freehold.toml"
    path.write_bytes(text)
    with pytest.raises(BadRequest, match=r"freehold\.toml can't be read"):
        read(path, state=tmp_path)


def test_a_file_that_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"nothing\.toml can't be read"):
        read(tmp_path / "nothing.toml", state=tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"underlay_address": "host.example"},
        {"underlay_address": "127.0.0.1"},
        {"underlay_address": "2001:db8::1"},
        {"underlay_interface": "eth1"},
        {"underlay_address": "192.0.2.1", "underlay_port": 0},
        {"network_mtu": 500},
        {"network_mtu": 9200},
        {"physical_networks": {"a b": "eth1"}},
        {"physical_networks": {"public": "eth1; reboot"}},
        {"physical_networks": {"public": "eth1", "lab": "eth1"}},
        {"underlay_address": "192.0.2.1", "underlay_interface": "eth1", "physical_networks": {"public": "eth1"}},
    ],
)
def test_ways_out_that_can_not_be_are_a_sentence(wrong: dict[str, object]) -> None:
    name = next(reversed(wrong))
    with pytest.raises(BadRequest, match=name):
        read(None, state=Path("/srv"), **wrong)


def test_ways_out_are_read(tmp_path: Path) -> None:
    text = 'state = "/srv/cloud"\nunderlay_address = "192.0.2.7"\nphysical_networks = { public = "eth1" }\n'
    settings = read(file_of(tmp_path, text))
    assert (settings.underlay_address, settings.physical_networks) == ("192.0.2.7", {"public": "eth1"})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"broker_listen": "4222"}, "broker_listen"),
        ({"metrics_listen": "9180"}, "metrics_listen"),
        ({"broker_link_listen": "0.0.0.0"}, "broker_link_listen"),
        ({"broker_listen": 'a"b:1'}, "broker_listen"),
        ({"broker_link_advertised": "a b:1"}, "broker_link_advertised"),
        ({"broker_routes": "b:6222"}, "broker_route_listen"),
        ({"broker_routes": "b", "broker_route_listen": "b:1"}, "broker_routes"),
        ({"broker_hub": "hub:7422"}, "broker_hub has 'hub:7422'"),
        ({"roles": ("broker",)}, "set bus to its server"),
        ({"roles": ("broker",), "bus": "tls://a:1"}, "bus_certificate"),
        ({"roles": ("broker",), "bus": "nats://a:1", "broker_hub": "tls://hub:7422"}, "bus_ca"),
    ],
    ids=str,
)
def test_what_makes_no_sense_for_a_broker_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        read(None, state=Path("/s"), **given)


def test_a_broker_of_a_cluster_with_several_servers_makes_sense() -> None:
    several = {"broker_route_listen": "[::1]:6222", "broker_routes": "b:1, c:2"}
    settings = read(None, state=Path("/s"), roles=("broker",), bus="nats://a:1", **several)
    assert listed(settings.broker_routes) == ("b:1", "c:2")
