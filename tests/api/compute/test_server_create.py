"""What a create takes, what it refuses, and that a retry makes nothing twice."""

import asyncio
import base64
from collections import Counter
from typing import Any

import aiohttp
import pytest

from freehold.api import backlog
from freehold.api.listen import Listener
from freehold.api.server import Server
from freehold.bus.local import LocalBus
from freehold.workers.registrar import worker as registrar
from tests.api.compute.conftest import V21, Compute
from tests.api.image.making import V2, made_image, uploaded


async def _refused(compute: Compute, version: str = "2.96", **more: Any) -> tuple[int, str]:
    reply = await compute.at(version).post(f"{V21}/servers", compute.wanted(**more))
    (fault,) = reply.json.values()
    return reply.status, fault["message"]


async def test_the_answer_has_id_links_password_and_location(compute: Compute) -> None:
    reply = await compute.member.post(f"{V21}/servers", compute.wanted(adminPass="hush"))
    server = reply.json["server"]
    assert reply.status == 202 and server["adminPass"] == "hush"
    assert reply.headers["location"].endswith(f"/compute/v2.1/servers/{server['id']}")
    assert server["links"][0]["href"] == reply.headers["location"]
    assert server["security_groups"] == [{"name": "default"}]
    assert len((await compute.member.post(f"{V21}/servers", compute.wanted())).json["server"]["adminPass"]) > 8


async def test_an_image_that_is_shared_with_a_project_is_booted_there(compute: Compute) -> None:
    image = (await made_image(compute.api.other))["id"]
    assert (await uploaded(compute.api.other, image)).status == 204
    assert await _refused(compute, imageRef=image) == (400, f"Image {image} could not be found.")
    project = (await compute.server(await compute.running()))["tenant_id"]
    shared = await compute.api.other.post(f"{V2}/images/{image}/members", {"member": project})
    assert shared.status == 200
    await compute.running(imageRef=image)


async def test_one_key_makes_one_guest(compute: Compute) -> None:
    headers = {"idempotency-key": "k1"}
    replies = [
        await compute.member.ask("POST", f"{V21}/servers", compute.wanted(adminPass="a"), headers) for _ in range(3)
    ]
    assert {reply.status for reply in replies} == {202}
    assert len({reply.json["server"]["id"] for reply in replies}) == 1
    assert len((await compute.member.get(f"{V21}/servers")).json["servers"]) == 1
    other = await compute.member.ask("POST", f"{V21}/servers", compute.wanted(name="other"), headers)
    assert other.status == 409


async def test_a_repeat_gives_no_password_that_the_guest_does_not_have(compute: Compute) -> None:
    headers = {"idempotency-key": "k2"}
    first = await compute.member.ask("POST", f"{V21}/servers", compute.wanted(), headers)
    again = await compute.member.ask("POST", f"{V21}/servers", compute.wanted(), headers)
    assert first.json["server"]["adminPass"] and "adminPass" not in again.json["server"]
    assert first.json["server"]["id"] == again.json["server"]["id"]


async def test_a_repeat_is_answered_though_its_port_is_used_by_the_guest_it_made(compute: Compute) -> None:
    made = await compute.member.post("/network/v2.0/ports", {"port": {"network_id": compute.network}})
    port, headers = made.json["port"]["id"], {"idempotency-key": "k3"}
    body = compute.wanted(networks=[{"port": port}])
    first = await compute.member.ask("POST", f"{V21}/servers", body, headers)
    await compute.settled(first.json["server"]["id"])
    again = await compute.member.ask("POST", f"{V21}/servers", body, headers)
    assert again.status == 202 and again.json["server"]["id"] == first.json["server"]["id"]
    assert await _refused(compute, networks=[{"port": port}]) == (409, f"Port {port} is still in use.")


async def test_several_are_numbered(compute: Compute) -> None:
    reply = await compute.member.post(f"{V21}/servers", compute.wanted(min_count=3, return_reservation_id=True))
    assert reply.status == 202 and reply.json["reservation_id"].startswith("r-")
    names = [server["name"] for server in (await compute.member.get(f"{V21}/servers")).json["servers"]]
    assert sorted(names) == ["web-1", "web-2", "web-3"]


async def test_networks_may_be_left_to_the_cloud_or_out(compute: Compute) -> None:
    auto = await compute.running(networks="auto")
    assert "shared" in (await compute.server(auto))["addresses"]
    none = await compute.running(networks="none")
    assert (await compute.server(none))["addresses"] == {}
    body = compute.wanted()
    del body["server"]["networks"]
    assert (await compute.at("2.36").post(f"{V21}/servers", body)).status == 202
    assert (await compute.at("2.37").post(f"{V21}/servers", body)).status == 400
    assert (await _refused(compute, "2.36", networks="auto"))[0] == 400


async def test_two_networks_and_none_named_is_a_conflict(compute: Compute) -> None:
    v2 = "/network/v2.0"
    for cidr in ("10.30.0.0/24", "10.31.0.0/24"):
        made = await compute.member.post(f"{v2}/networks", {"network": {"name": cidr}})
        subnet = {"network_id": made.json["network"]["id"], "cidr": cidr}
        assert (await compute.member.post(f"{v2}/subnets", {"subnet": subnet})).status == 201
    status, message = await _refused(compute, networks="auto")
    assert status == 409 and "Multiple possible networks found" in message


async def test_a_fixed_address_is_given_or_refused(compute: Compute) -> None:
    guest = await compute.running(networks=[{"uuid": compute.network, "fixed_ip": "10.20.0.77"}])
    assert (await compute.server(guest))["addresses"]["shared"][0]["addr"] == "10.20.0.77"
    for address in ("10.99.0.1", "999.1.1.1", "not an address", "1.2.3"):
        status, message = await _refused(compute, networks=[{"uuid": compute.network, "fixed_ip": address}])
        assert status == 400, message


async def test_groups_keys_and_user_data_are_taken(compute: Compute) -> None:
    group = {"security_group": {"name": "web"}}
    made = await compute.member.post("/network/v2.0/security-groups", group)
    assert made.status == 201
    pair = await compute.oldest.post(f"{V21}/os-keypairs", {"keypair": {"name": "mine"}})
    assert pair.status == 200
    data = base64.b64encode(b"#!/bin/sh\necho hello\n").decode()
    guest = await compute.running(security_groups=[{"name": "web"}], key_name="mine", user_data=data, config_drive=True)
    shown = await compute.server(guest)
    assert shown["security_groups"] == [{"name": "web"}]
    assert (shown["key_name"], shown["config_drive"]) == ("mine", "True")
    by_id = await compute.running(security_groups=[{"name": made.json["security_group"]["id"]}])
    assert (await compute.server(by_id))["security_groups"] == [{"name": "web"}]


async def test_hints_put_a_server_near_another_or_apart_from_it(compute: Compute) -> None:
    first = await compute.running()
    near = await compute.running(**{"os:scheduler_hints": {"same_host": first}})
    apart = await compute.running(**{"os:scheduler_hints": {"different_host": [first, near]}})
    hosts = [(await compute.server(guest))["hostId"] for guest in (first, near, apart)]
    assert hosts[0] == hosts[1] != hosts[2]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"flavorRef": "none"}, "Flavor none could not be found."),
        ({"imageRef": "none"}, "Image none could not be found."),
        ({"imageRef": ""}, "Invalid imageRef provided."),
        ({"key_name": "nobody's"}, "Invalid key_name provided."),
        ({"networks": [{"uuid": "none"}]}, "Network none could not be found."),
        ({"networks": [{"port": "none"}]}, "Port none could not be found."),
        ({"networks": [{}]}, "needs a uuid or a port"),
        ({"security_groups": [{"name": "none"}]}, "Security group none not found"),
        ({"availability_zone": "mars"}, "The requested availability zone is not available"),
        ({"user_data": "%%%"}, "user_data"),
        ({"min_count": 3, "max_count": 2}, "min_count must be <= max_count"),
        ({"min_count": 2, "networks": [{"uuid": "{network}", "fixed_ip": "10.20.0.9"}]}, "one server only"),
        (
            {"block_device_mapping_v2": [{"source_type": "volume", "uuid": "v", "boot_index": 0}]},
            "failed to get volume v",
        ),
        ({"personality": [{"path": "/etc/x", "contents": ""}]}, "personality"),
        ({"os:scheduler_hints": {"group": "none"}}, "Instance group none could not be found."),
        (
            {"os:scheduler_hints": {"different_host": ["x"]}},
            "Server x, which the scheduler hint 'different_host' names",
        ),
        ({"os:scheduler_hints": {"same_host": "x"}}, "Server x, which the scheduler hint 'same_host' names"),
        ({"os:scheduler_hints": {"same_host": [f"{n}" for n in range(51)]}}, "names 51 servers"),
        ({"os:scheduler_hints": {"query": [">=", "$free_ram_mb", 1]}}, "'query' isn't served"),
        ({"os:scheduler_hints": {"_nova_check_type": "x"}}, "_nova_check_type"),
        ({"_internal": 1}, "_internal"),
        ({"name": "  "}, "blank"),
        ({"name": "a\nb"}, "name"),
        ({"tags": ["a,b"]}, "tags"),
        ({"tags": [str(n) for n in range(51)]}, "tags"),
        ({"metadata": {"": "x"}}, "metadata"),
        ({"metadata": {"k": "x" * 256}}, "metadata"),
        ({"accessIPv4": "10.0.0.1"}, "accessIPv4"),
        ({"config_drive": "maybe"}, "config_drive"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(compute: Compute, more: dict[str, Any], message: str) -> None:
    for network in more.get("networks", ()):
        if network.get("uuid") == "{network}":
            network["uuid"] = compute.network
    status, said = await _refused(compute, **more)
    assert status == 400 and message in said, said
    assert (await compute.member.get(f"{V21}/servers")).json["servers"] == []


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("2.18", {"description": "d"}),
        ("2.51", {"tags": ["t"]}),
        ("2.89", {"hostname": "host"}),
        ("2.57", {"personality": []}),
    ],
)
async def test_a_field_of_another_version_is_refused(compute: Compute, version: str, more: dict[str, Any]) -> None:
    status, message = await _refused(compute, version, **more)
    assert status == 400 and "Additional properties are not allowed" in message


async def test_anothers_image_network_and_port_are_not_there(compute: Compute) -> None:
    image = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    theirs = (await compute.other.post("/image/v2/images", image)).json["id"]
    assert await _refused(compute, imageRef=theirs) == (400, f"Image {theirs} could not be found.")
    network = (await compute.other.post("/network/v2.0/networks", {"network": {"name": "n"}})).json["network"]["id"]
    assert await _refused(compute, networks=[{"uuid": network}]) == (400, f"Network {network} could not be found.")


async def test_an_image_that_is_not_ready_or_too_big_is_refused(compute: Compute) -> None:
    image = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    queued = (await compute.member.post("/image/v2/images", image)).json["id"]
    assert "is not active" in (await _refused(compute, imageRef=queued))[1]
    limits = {"op": "replace", "path": "/min_ram", "value": 4096}
    media = {"content-type": "application/openstack-images-v2.1-json-patch"}
    assert (await compute.admin.ask("PATCH", f"/image/v2/images/{compute.image}", [limits], media)).status == 200
    assert "memory is too small" in (await _refused(compute))[1]


async def test_the_quota_is_kept(compute: Compute) -> None:
    path = f"{V21}/os-quota-sets/{compute.api.project}"
    assert (await compute.admin.put(path, {"quota_set": {"instances": 1}})).status == 200
    await compute.create()
    reply = await compute.member.post(f"{V21}/servers", compute.wanted())
    assert reply.status == 403 and "Quota exceeded for instances" in reply.json["forbidden"]["message"]
    assert (await compute.admin.put(path, {"quota_set": {"metadata_items": 1}})).status == 200
    status, message = await _refused(compute, metadata={"a": "1", "b": "2"})
    assert status == 403 and "metadata items" in message


async def test_a_reader_may_not_create(compute: Compute) -> None:
    api = compute.api
    await api.new_user("rita", "library", "reader")
    reader = api.nobody.with_token(await api.sign_in("rita", "correct horse", "library"))
    assert (await reader.get(f"{V21}/servers")).status == 200
    assert (await reader.post(f"{V21}/servers", compute.wanted())).status == 403
    assert (await api.nobody.get(f"{V21}/servers")).status == 401


@pytest.fixture
def asked(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The subjects of all that is asked on the bus from now on."""
    del compute  # what is asked to make the cloud doesn't count
    subjects, ask = list[str](), LocalBus.ask

    async def counted(bus: LocalBus, subject: str, *more: Any) -> bytes:
        subjects.append(subject)
        return await ask(bus, subject, *more)

    monkeypatch.setattr(LocalBus, "ask", counted)
    return subjects


async def test_who_asks_for_too_much_is_told_when_to_come_back_and_costs_nothing(
    compute: Compute, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "WAITING_MAX", 0)
    monkeypatch.setattr(backlog, "PAUSE_S", 3600.0)
    replies = [await compute.member.post(f"{V21}/servers", compute.wanted()) for _ in range(3)]
    assert [reply.status for reply in replies] == [503] * 3
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in replies)
    assert "More guests have been asked for" in replies[2].json["serviceUnavailable"]["message"]
    assert asked.count("freehold.ask.registrar.0") == 1
    assert (await compute.member.get(f"{V21}/servers")).json["servers"] == []


async def test_the_registrar_isnt_asked_for_more_than_it_said_it_takes(
    compute: Compute, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "WAITING_MAX", 1)
    monkeypatch.setattr(backlog, "PAUSE_S", 3600.0)
    first, second = [await compute.member.post(f"{V21}/servers", compute.wanted()) for _ in range(2)]
    assert (first.status, second.status) == (202, 503)
    assert asked.count("freehold.ask.registrar.0") == 1


async def test_of_many_that_are_asked_for_at_once_those_that_were_promised_are_made_and_no_others(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "WAITING_MAX", 3)
    server = compute.api.nobody.app
    assert isinstance(server, Server)
    listener = Listener(lambda _port: server, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{await listener.open()}{V21}/servers"
    told: Counter[int] = Counter()
    promised: set[str] = set()

    async def ask(session: aiohttp.ClientSession) -> None:
        async with session.post(url, json=compute.wanted(), headers=compute.oldest.headers) as answer:
            told[answer.status] += 1
            if answer.status == 202:
                promised.add((await answer.json())["server"]["id"])
            else:
                assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1

    async with aiohttp.ClientSession() as session:
        for _ in range(5):
            await asyncio.gather(*(ask(session) for _ in range(8)))
    await listener.close()
    assert told[202] >= 3 and told[202] + told[503] == 40 and server.gate.refused > 0
    for guest in promised:
        await compute.settled(guest)
    there = (await compute.member.get(f"{V21}/servers")).json["servers"]
    assert {server["id"] for server in there} == promised
