"""Metadata of volumes and of snapshots."""

from typing import Any

from tests.api.volume.conftest import V3, VolumeCloud


async def test_metadata_is_added_replaced_and_taken(volumes: VolumeCloud) -> None:
    volume = await volumes.made(metadata={"a": "1"})
    snapshot = await volumes.taken(volume, metadata={"a": "1"})
    for path in (f"{V3}/volumes/{volume}/metadata", f"{V3}/snapshots/{snapshot}/metadata"):
        member = volumes.member
        assert (await member.get(path)).json == {"metadata": {"a": "1"}}
        reply = await member.post(path, {"metadata": {"b/c": "2"}})
        assert (reply.status, reply.json) == (200, {"metadata": {"a": "1", "b/c": "2"}})
        assert (await member.get(f"{path}/b%2Fc")).json == {"meta": {"b/c": "2"}}
        reply = await member.put(f"{path}/a", {"meta": {"a": "3"}})
        assert (reply.status, reply.json) == (200, {"meta": {"a": "3"}})
        assert (await member.put(f"{path}/a", {"meta": {"b": "3"}})).status == 400
        assert (await member.delete(f"{path}/a")).status == 200
        for reply in (await member.delete(f"{path}/a"), await member.get(f"{path}/a")):
            assert (reply.status, list(reply.json)) == (404, ["itemNotFound"])
        reply = await member.put(path, {"metadata": {}})
        assert (reply.status, reply.json) == (200, {"metadata": {}})
        assert (await member.get(path)).json == {"metadata": {}}


async def test_metadata_has_bounds(volumes: VolumeCloud) -> None:
    path = f"{V3}/volumes/{await volumes.made()}/metadata"
    bodies: list[Any] = [
        {},
        {"metadata": None},
        {"metadata": {"a": 1}},
        {"metadata": {"": ""}},
        {"metadata": {}, "x": 1},
    ]
    for body in (*bodies, {"metadata": {"x" * 256: ""}}, {"metadata": {"a\0": ""}}, []):
        assert (await volumes.member.post(path, body)).status == 400, body
    many = {"metadata": {str(n): "" for n in range(128)}}
    assert (await volumes.member.put(path, many)).status == 200
    more = await volumes.member.post(path, {"metadata": {"more": ""}})
    assert (more.status, list(more.json)) == (413, ["overLimit"])


async def test_a_change_is_seen_in_the_next_list(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    for number in range(5):
        await volumes.member.put(f"{V3}/volumes/{volume}", {"volume": {"name": f"n{number}"}})
        assert await volumes.ids(f"?name=n{number}") == [volume]
        (shown,) = (await volumes.member.get(f"{V3}/volumes/detail")).json["volumes"]
        assert shown["name"] == f"n{number}"
