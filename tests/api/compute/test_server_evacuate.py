"""Nova's evacuate: who may, which fields each version has, and that nothing leaves a host that isn't off."""

from typing import Any

import pytest

from tests.api.compute.conftest import Compute

V21 = "/compute/v2.1"


async def evacuate(compute: Compute, guest: str, body: Any, version: str = "2.68", who: Any = None) -> Any:
    caller = compute.at(version, who or compute.admin)
    return await caller.post(f"{V21}/servers/{guest}/action", {"evacuate": body})


async def test_nothing_leaves_a_host_that_is_not_fenced_or_is_heard(compute: Compute) -> None:
    guest = await compute.running()
    reply = await evacuate(compute, guest, {})
    assert reply.status == 409 and b"isn't fenced" in reply.body
    host = f"host{await compute.host_of(guest)}"
    fence = {"fence": {"evidence": "its plug is out"}}
    reply = await compute.admin.put(f"/freehold/v1/hosts/{host}/fence", fence)
    assert reply.status == 409 and b"isn't off" in reply.body
    fence["fence"] |= {"force": True}  # type: ignore[dict-item]
    assert (await compute.admin.put(f"/freehold/v1/hosts/{host}/fence", fence)).status == 200
    services = (await compute.at("2.53", compute.admin).get(f"{V21}/os-services")).json["services"]
    assert {one["host"]: (one["forced_down"], one["state"]) for one in services}[host] == (True, "down")
    reply = await evacuate(compute, guest, {})
    assert reply.status == 409 and b"fenced, but not off" in reply.body
    assert (await compute.admin.delete(f"/freehold/v1/hosts/{host}/fence")).status == 200
    assert (await compute.admin.delete(f"/freehold/v1/hosts/{host}/fence")).status == 409


async def test_an_order_is_refused_that_comes_when_the_host_is_as_it_was_not_seen(compute: Compute) -> None:
    """An API process may stand still with it, while the host is let in, or fenced once more."""
    path = f"/freehold/v1/hosts/host{await compute.host_of(await compute.running())}/fence"

    async def seen() -> str:
        return str((await compute.admin.get(path)).json["seen"])

    async def fenced(upon: str) -> int:
        order = {"evidence": "its plug is out", "force": True, "seen": upon}
        return (await compute.admin.put(path, {"fence": order})).status

    async def let_in(upon: str) -> int:
        return (await compute.admin.delete(f"{path}?seen={upon}")).status

    first = await seen()
    assert (await compute.admin.get(path)).json["host"]["fences"] == []
    assert [await fenced(first), await fenced(first)] == [200, 200], "whoever hears no answer orders it again"
    assert await seen() == first
    (stands,) = (await compute.admin.get(path)).json["host"]["fences"]
    assert stands["evidence"] == "its plug is out"
    assert [await let_in(first), await let_in(first)] == [200, 409]
    assert await fenced(first) == 409, "it was let in since"
    second = await seen()
    assert second != first and await fenced(second) == 200
    assert await let_in(first) == 409, "it was fenced again since"
    assert await let_in(second) == 200
    for wrong in ("x", "0", "1-1", "-1", "9" * 30):
        assert await fenced(wrong) == await let_in(wrong) == 400
    assert (await compute.member.get(path)).status == 403


async def test_a_dry_run_says_what_is_lost(compute: Compute) -> None:
    guest = await compute.running()
    host = f"host{await compute.host_of(guest)}"
    reply = await compute.admin.post(f"/freehold/v1/hosts/{host}/evacuation", {"evacuation": {"dry_run": True}})
    (row,) = reply.json["evacuation"]["guests"]
    assert (row["id"], row["known_from"], row["request"]) == (guest, "view", None)
    assert any("on its disk" in lost for lost in row["lost"])


@pytest.mark.parametrize(
    ("version", "body", "status"),
    [
        ("2.13", {}, 400),
        ("2.13", {"onSharedStorage": True}, 400),
        ("2.13", {"onSharedStorage": False}, 409),
        ("2.14", {"onSharedStorage": False}, 400),
        ("2.14", {"force": True}, 400),
        ("2.29", {"force": True}, 409),
        ("2.68", {"force": True}, 400),
        ("2.95", {"host": "host9"}, 400),
        ("2.95", {"more": 1}, 400),
    ],
)
async def test_what_each_version_takes(compute: Compute, version: str, body: Any, status: int) -> None:
    guest = await compute.running()
    assert (await evacuate(compute, guest, body, version)).status == status


async def test_only_an_admin_may(compute: Compute) -> None:
    guest = await compute.running()
    assert (await evacuate(compute, guest, {}, who=compute.member)).status == 403
