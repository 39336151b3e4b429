"""What a guest is built from again: what its host told last, and what only the backup of the host's store has."""

from typing import Any

import pytest

from freehold.vocabulary.codec import decode
from freehold.vocabulary.fence import HEARD_S
from freehold.workers.host.messages import BuildSecret
from freehold.workers.host.records import BUILD_SECRET
from tests.api.compute.conftest import V21, Compute

FAR_OFF_MS = 2**52


async def on_a_dead_host(compute: Compute) -> tuple[str, str]:
    """A guest, and its host's name: it isn't heard, and is fenced."""
    guest = await compute.running(name="web", metadata={"told": "by its host"})
    number = await compute.host_of(guest)
    await compute.cables[number].cut()
    compute.api.clock.waited_s += HEARD_S + 1
    reply = await compute.admin.put(f"/freehold/v1/hosts/host{number}/fence", {"fence": {"evidence": "it burnt"}})
    assert reply.status == 200, reply.body
    return guest, f"host{number}"


async def evacuation(compute: Compute, host: str, **asked: Any) -> Any:
    reply = await compute.admin.post(f"/freehold/v1/hosts/{host}/evacuation", {"evacuation": asked})
    assert reply.status in (200, 202), reply.body
    return reply.json["evacuation"]


@pytest.mark.parametrize(
    ("updated_ms", "known_from", "name", "status"),
    [
        (None, "backup", "backed up", "SHUTOFF"),
        (FAR_OFF_MS, "backup", "backed up", "SHUTOFF"),
        (1, "view and backup", "web", "ACTIVE"),
    ],
    ids=["of no known age", "newer than what was told", "older"],
)
async def test_of_view_and_backup_the_newer_holds_and_secrets_are_the_backups(
    compute: Compute, updated_ms: int | None, known_from: str, name: str, status: str
) -> None:
    guest, host = await on_a_dead_host(compute)
    record = {"id": guest, "name": "backed up", "stopped": True, "user_data": "aGk=", "admin_password": "swordfish"}
    record |= {} if updated_ms is None else {"updated_ms": updated_ms}
    told = await evacuation(compute, host, dry_run=True, records=[record])
    (row,) = told["guests"]
    assert told["host_id"] in {store.id for store in compute.hosts} and row["known_from"] == known_from
    assert not any("user data" in lost for lost in row["lost"])

    (row,) = (await evacuation(compute, host, records=[record]))["guests"]
    assert row["request"] and not row["refused"]
    other = 1 - int(host.removeprefix("host"))
    shown = await compute.until(
        lambda: compute.server(guest, compute.admin),
        lambda one: one["OS-EXT-SRV-ATTR:host"] == f"host{other}" and one["status"] == status,
    )
    assert shown["name"] == name
    assert shown["metadata"] == ({"told": "by its host"} if name == "web" else {})
    kept = decode(compute.hosts[other].read_private(BUILD_SECRET, guest) or b"", BuildSecret)
    assert kept.user_data is not None and kept.user_data.reveal() == "aGk="
    assert kept.admin_password is not None and kept.admin_password.reveal() == "swordfish"


async def test_a_guest_without_a_record_has_lost_its_secrets(compute: Compute) -> None:
    guest, host = await on_a_dead_host(compute)
    (row,) = (await evacuation(compute, host, dry_run=True))["guests"]
    assert (row["id"], row["known_from"]) == (guest, "view")
    assert any("user data and password" in lost for lost in row["lost"])


async def test_the_time_of_a_record_has_bounds(compute: Compute) -> None:
    guest = await compute.running()
    body = {"evacuation": {"records": [{"id": guest, "name": "x", "updated_ms": -1}]}}
    host = f"host{await compute.host_of(guest)}"
    assert (await compute.admin.post(f"/freehold/v1/hosts/{host}/evacuation", body)).status == 400
    assert (await compute.server(guest, compute.admin))["name"] == "web"
    assert (await compute.admin.get(f"{V21}/servers/{guest}")).status == 200
