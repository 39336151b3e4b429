"""What a guest reads about itself."""

import json
from base64 import b64encode

import pytest
from msgspec.structs import replace

from freehold.vocabulary.guest import Guest
from freehold.vocabulary.secret import Secret
from freehold.workers.host.messages import BuildSecret, Job
from freehold.workers.host.metadata import MetadataService, config_drive_files, document
from tests.workers.host.bench import GUEST, PROJECT, a_guest_record

SCRIPT = b"#!/bin/sh\necho hello\n"
SECRET = BuildSecret(user_data=Secret(b64encode(SCRIPT).decode()), admin_password=Secret("pw"))


def read(path: str, guest: Guest | None = None, secret: BuildSecret = SECRET) -> str | None:
    body = document(guest or a_guest_record(), secret, path)
    return None if body is None else body.decode()


def test_openstacks_dialect_can_be_walked_from_its_root() -> None:
    versions = read("/openstack")
    assert versions is not None and versions.splitlines()[-1] == "latest"
    for version in versions.splitlines():
        names = read(f"/openstack/{version}/")
        assert names is not None
        for name in names.splitlines():
            assert read(f"/openstack/{version}/{name}") is not None


def test_meta_data_names_the_guest_its_project_and_its_keys() -> None:
    found = json.loads(read("/openstack/latest/meta_data.json") or "")
    assert (found["uuid"], found["name"], found["hostname"], found["project_id"]) == (GUEST, "web", "web", PROJECT)
    assert found["public_keys"] == {"mine": "ssh-ed25519 AAAA me"}
    assert found["keys"] == [{"name": "mine", "type": "ssh", "data": "ssh-ed25519 AAAA me"}]
    assert found["meta"] == {"role": "front"}
    assert found["launch_index"] == 0


def test_network_data_has_a_link_and_a_network_for_each_port() -> None:
    found = json.loads(read("/openstack/latest/network_data.json") or "")
    (link,), (network,) = found["links"], found["networks"]
    assert link["vif_id"] == GUEST and link["mtu"] == 1450
    assert network == {"id": "network0", "link": link["id"], "network_id": network["network_id"], "type": "ipv4_dhcp"}
    assert found["services"] == [{"type": "dns", "address": "9.9.9.9"}]


def test_without_dhcp_the_addresses_are_given() -> None:
    guest = a_guest_record()
    guest = replace(guest, ports=(replace(guest.ports[0], dhcp=False),))
    (network,) = json.loads(read("/openstack/latest/network_data.json", guest) or "")["networks"]
    assert (network["ip_address"], network["netmask"]) == (guest.ports[0].addresses[0], "255.255.255.0")
    assert network["routes"] == [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}]


def test_user_data_is_what_the_client_sent() -> None:
    assert document(a_guest_record(), SECRET, "/openstack/latest/user_data") == SCRIPT
    assert document(a_guest_record(), SECRET, "/latest/user-data") == SCRIPT
    assert read("/openstack/latest/user_data", secret=BuildSecret()) is None
    assert read("/latest/user-data", secret=BuildSecret()) is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/2009-04-04/meta-data/instance-id", GUEST),
        ("/latest/meta-data/hostname", "web"),
        ("/latest/meta-data/local-ipv4", "10.0.0.27"),
        ("/latest/meta-data/public-keys/", "0=mine"),
        ("/latest/meta-data/public-keys/0/", "openssh-key"),
        ("/latest/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA me"),
        ("/latest/meta-data/placement/availability-zone", "nova"),
        ("/latest/", "meta-data/\nuser-data"),
    ],
)
def test_ec2s_dialect(path: str, body: str) -> None:
    assert read(path) == body


@pytest.mark.parametrize(
    "path", ["/nothing", "/openstack/1999-01-01", "/openstack/latest/../x", "/latest/meta-data/x/y", "/openstack/a/b/c"]
)
def test_what_is_not_there_is_not_found(path: str) -> None:
    assert read(path) is None


async def test_a_port_reads_its_own_guest_and_no_other() -> None:
    service = MetadataService({GUEST: Job(a_guest_record(), SECRET)}.get)
    answer = await service(GUEST, "/openstack/latest/meta_data.json")
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert (await service("another-port", "/openstack/latest/meta_data.json")).status == 404


def test_the_config_drive_has_the_same_documents() -> None:
    files = config_drive_files(a_guest_record(), SECRET)
    assert files["openstack/latest/user_data"] == SCRIPT
    assert files["openstack/latest/meta_data.json"] == (read("/openstack/latest/meta_data.json") or "").encode()
