"""Extra specs of volume types."""

from typing import Any

from freehold.api.volume.type_specs import SPECS_MAX
from tests.api.volume.conftest import V3, VolumeCloud
from tests.api.volume.test_types import made


async def test_specs_are_added_replaced_and_taken(volumes: VolumeCloud) -> None:
    path = f"{V3}/types/{await made(volumes, 'fast')}/extra_specs"
    reply = await volumes.admin.post(path, {"extra_specs": {"a": "b", "multiattach": "<is> False"}})
    assert (reply.status, reply.json) == (200, {"extra_specs": {"a": "b", "multiattach": "<is> False"}})
    reply = await volumes.admin.put(f"{path}/a", {"a": "c"})
    assert (reply.status, reply.json) == (200, {"a": "c"})
    assert (await volumes.admin.get(f"{path}/a")).json == {"a": "c"}
    assert (await volumes.member.get(path)).json == {"extra_specs": {"multiattach": "<is> False"}}
    assert (await volumes.member.get(f"{path}/a")).status == 404
    assert (await volumes.admin.delete(f"{path}/a")).status == 202
    for reply in (await volumes.admin.delete(f"{path}/a"), await volumes.admin.get(f"{path}/a")):
        assert (reply.status, list(reply.json)) == (404, ["itemNotFound"])


async def test_specs_have_bounds(volumes: VolumeCloud) -> None:
    path = f"{V3}/types/{await made(volumes, 'fast')}/extra_specs"
    bodies: list[Any] = [{}, {"extra_specs": None}, {"extra_specs": {"a/b": ""}}, {"extra_specs": {"a": 1}}]
    many = {"extra_specs": {str(n): "" for n in range(SPECS_MAX + 1)}}
    for body in (*bodies, {"extra_specs": {"a": "x" * 256}}, many):
        assert (await volumes.admin.post(path, body)).status == 400, body
    assert (await volumes.admin.put(f"{path}/a", {"b": "c"})).status == 400
    assert (await volumes.admin.put(f"{path}/a", {"a": "c", "b": "c"})).status == 400
