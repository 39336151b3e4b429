"""Hosts that aren't heard: what was last known of them stays, and is shown for what it is."""

from dataclasses import replace
from typing import Any

from freehold.api.server import application
from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Hello
from tests.api.asgi import Client
from tests.api.compute.conftest import V21, Compute


async def silence(compute: Compute, guest: str, seconds: float) -> int:
    """The guest's host isn't heard for so long, all others are. Gives its number."""
    host = await compute.host_of(guest)
    await compute.cables[host].cut()
    compute.api.clock.waited_s += seconds
    await talk.say(compute.api.cloud.bus, subjects.hello("host"), Hello())
    await compute.until(
        lambda: states(compute), lambda found: found == {f"host{host}": "down", f"host{1 - host}": "up"}
    )
    return host


async def states(compute: Compute) -> dict[str, str]:
    services = (await compute.admin.get(f"{V21}/os-services")).json["services"]
    return {service["host"]: service["state"] for service in services}


def patient(compute: Compute, client: Client, unknown_after_s: float) -> Client:
    """A client of an API with the policy."""
    cloud = replace(compute.api.cloud, unknown_after_s=unknown_after_s)
    return Client(application(cloud), client.headers)


async def test_a_silent_host_is_down_since_it_was_last_heard(compute: Compute) -> None:
    guest = await compute.running()
    host = await silence(compute, guest, 40)
    services = (await compute.admin.get(f"{V21}/os-services")).json["services"]
    seen = {service["host"]: service["updated_at"] for service in services}
    assert seen[f"host{host}"] < seen[f"host{1 - host}"]
    hypervisors = (await compute.admin.get(f"{V21}/os-hypervisors")).json["hypervisors"]
    assert {one["hypervisor_hostname"]: one["state"] for one in hypervisors} == await states(compute)


async def test_its_servers_keep_what_was_last_known(compute: Compute) -> None:
    guest = await compute.running()
    before = await compute.server(guest)
    assert (await compute.server(guest, compute.admin))["host_status"] == "UP"
    await silence(compute, guest, 3600)
    assert await compute.server(guest) == before
    assert (await compute.server(guest, compute.admin))["host_status"] == "UNKNOWN"
    (shown,) = (await compute.admin.get(f"{V21}/servers/detail?all_tenants=1")).json["servers"]
    assert (shown["status"], shown["host_status"]) == ("ACTIVE", "UNKNOWN")
    assert "host_status" not in await compute.server(guest, compute.at("2.15", compute.admin))


async def test_their_status_is_unknown_where_a_policy_says_so(compute: Compute) -> None:
    guest = await compute.running(name="web")
    client = patient(compute, compute.member, 60)

    async def shown() -> Any:
        return (await client.get(f"{V21}/servers/{guest}")).json["server"]

    host = await silence(compute, guest, 40)
    assert (await shown())["status"] == "ACTIVE"
    compute.api.clock.waited_s += 40
    assert (await shown())["status"] == "UNKNOWN" and (await shown())["OS-EXT-STS:vm_state"] == "active"
    listed = (await client.get(f"{V21}/servers?status=UNKNOWN")).json["servers"]
    assert [server["name"] for server in listed] == ["web"]
    assert (await client.get(f"{V21}/servers?status=ACTIVE")).json["servers"] == []
    await compute.cables[host].mend()
    await talk.say(compute.api.cloud.bus, subjects.hello("host"), Hello())
    await compute.until(shown, lambda server: server["status"] == "ACTIVE")


async def test_the_native_api_has_the_age_of_a_guest(compute: Compute) -> None:
    guest = await compute.running()
    path = f"/freehold/v1/guests/{guest}"
    assert (await compute.admin.get(path)).json["guest"]["host_state"] == "heard"
    await silence(compute, guest, 300)
    told = (await compute.admin.get(path)).json["guest"]
    assert (told["state"], told["host_state"]) == ("running", "silent") and 300 <= told["age_s"] < 400
    assert (await compute.member.get(path)).status == 403
    assert (await compute.admin.get("/freehold/v1/guests/none")).status == 404
