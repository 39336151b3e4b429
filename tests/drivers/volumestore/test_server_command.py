"""What a storage daemon is told."""

import itertools
import json
from pathlib import Path
from typing import Any

from freehold.drivers.volumestore import server_command as command
from freehold.drivers.volumestore.chain import Chain, Layer
from freehold.drivers.volumestore.checks import NUMBER_MAX
from freehold.drivers.volumestore.volume_folder import VolumeFolder
from freehold.vocabulary.attachment import Export, Limits

VOLUME = "ffffffff-ffff-4fff-bfff-ffffffffffff"
READER = "0000000a-394f-430f-bed5-f0ca5be05779"
FOLDER = VolumeFolder(Path("/pool"), VOLUME)
CHAIN = Chain(volume=VOLUME).with_snapshot("a").with_snapshot("b")
EXPORT = Export(volume=VOLUME, number=1, reader=READER)
LIMITED = Export(volume=VOLUME, number=NUMBER_MAX, reader=READER, limits=Limits(iops_max=7))


def words(*exports: Export, chain: Chain = CHAIN) -> list[str]:
    volumes = {VOLUME: (FOLDER, chain)}
    return command.arguments(command.server_of(exports[0]), exports, volumes, Path("/tls"), 5, 6)


def told(option: str, *exports: Export) -> list[dict[str, Any]]:
    given = words(*exports)
    return [json.loads(value) for name, value in itertools.pairwise(given) if name == option]


def test_names_fit_what_qemu_allows() -> None:
    assert len(command.node_of(VOLUME, Layer(name=999_999))) <= 31
    assert len(command.export_id(LIMITED)) <= 31
    assert all(name[0].isalpha() for name in (command.node_of(VOLUME, CHAIN.top), command.export_id(EXPORT)))


def test_every_layer_is_told_its_format_and_what_it_lies_on() -> None:
    nodes = told("--blockdev", EXPORT)
    names = [command.node_of(VOLUME, layer) for layer in CHAIN.layers]
    assert [node["node-name"] for node in nodes] == names
    assert [node["backing"] for node in nodes] == [None, *names[:-1]]
    assert {node["driver"] for node in nodes} == {"qcow2"} and {node["file"]["driver"] for node in nodes} == {"file"}
    assert [node["read-only"] for node in nodes] == [True, True, False]


def test_a_layer_that_is_to_become_the_topmost_lies_on_none_yet() -> None:
    assert command.layer_node(FOLDER, CHAIN, CHAIN.top, writable=True, alone=True)["backing"] is None


def test_who_may_not_write_opens_nothing_to_write_unless_others_may() -> None:
    reading = Export(volume=VOLUME, number=1, reader=READER, writable=False)
    assert all(node["read-only"] for node in told("--blockdev", reading))
    several = Export(volume=VOLUME, number=1, reader=READER, writable=False, multi_attach=True)
    assert not told("--blockdev", several)[-1]["read-only"]
    assert not told("--export", several)[0]["writable"]


def test_limits_stand_between_the_volume_and_its_export() -> None:
    (export,) = told("--export", LIMITED)
    node = told("--blockdev", LIMITED)[-1]
    assert export["node-name"] == node["node-name"] == command.export_id(LIMITED)
    assert node["driver"] == "throttle" and node["file"] == command.node_of(VOLUME, CHAIN.top)
    assert {"iops-total": 7} in [one.get("limits") for one in told("--object", LIMITED)]
    assert told("--export", EXPORT)[0]["node-name"] == command.node_of(VOLUME, CHAIN.top)


def test_what_is_written_is_written_through_and_named() -> None:
    (export,) = told("--export", EXPORT)
    assert export["writethrough"] is True
    assert (
        export["name"] == f"{VOLUME}.1" and VOLUME in export["description"] and "attachment 1" in export["description"]
    )


def test_only_readers_with_their_certificates_are_let_in() -> None:
    (server,) = told("--nbd-server", EXPORT)
    credentials, readers = told("--object", EXPORT)
    assert server["tls-creds"] == credentials["id"] and server["tls-authz"] == readers["id"]
    assert credentials["verify-peer"] is True and credentials["endpoint"] == "server"
    assert readers["policy"] == "deny"
    assert readers["rules"] == [{"match": f"CN={READER}", "policy": "allow", "format": "exact"}]


def test_a_server_is_known_by_its_command_line() -> None:
    assert command.server_name(["qemu-storage-daemon", *words(EXPORT)]) == f"reader-{READER}"
    several = Export(volume=VOLUME, number=1, reader=READER, multi_attach=True)
    assert command.server_name(words(several)) == f"volume-{VOLUME}"
    assert command.server_name(["qemu-system-x86_64", "--chardev", "socket,id=monitor"]) is None
    assert command.server_name([]) is None
