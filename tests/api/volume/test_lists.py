"""Lists of volumes and snapshots: filters, order, pages, counts; and whom they ask first."""

from typing import Any

import pytest

from freehold.api.volume import lists
from tests.api.volume.conftest import V3, VolumeCloud
from tests.api.volume.test_volume_create import said


async def made(volumes: VolumeCloud, count: int) -> list[str]:
    return [await volumes.made(name=f"n{number}", size=3 - number % 3) for number in range(count)]


@pytest.mark.parametrize("query", ["?limit=1", "?limit=2", "?limit=1000", "?limit=2&sort=name:desc", "?limit=1&size=3"])
async def test_pages_follow_on_one_another(volumes: VolumeCloud, query: str) -> None:
    every = (await made(volumes, 4))[::-1]
    await volumes.taken(every[0])
    expected = [every[0], every[3]] if "size" in query else every
    found: list[str] = []
    path: str | None = f"{V3}/volumes/detail{query}"
    while path is not None:
        reply = await volumes.member.get(path)
        found += [one["id"] for one in reply.json["volumes"]]
        links = [one["href"] for one in reply.json.get("volumes_links", [])]
        path = links[0][links[0].index("/volume/") :] if links else None
    assert found == expected


async def test_offsets_and_counts(volumes: VolumeCloud) -> None:
    every = (await made(volumes, 4))[::-1]
    assert await volumes.ids("?offset=1&limit=2") == every[1:3]
    assert await volumes.ids("?offset=9") == []
    assert await volumes.ids(f"?offset=1&limit=1&sort=name:desc&marker={every[0]}") == every[2:3]
    link = (await volumes.member.get(f"{V3}/volumes?offset=1&limit=2")).json["volumes_links"][0]["href"]
    assert await volumes.ids(link[link.index("?") :]) == every[3:]
    assert (await volumes.member.get(f"{V3}/volumes?limit=1&with_count=true")).json["count"] == 4
    assert (await volumes.member.get(f"{V3}/volumes?name=n1&with_count=true")).json["count"] == 1
    assert "count" not in (await volumes.at("3.44").get(f"{V3}/volumes?with_count=true")).json


async def test_volumes_are_sorted(volumes: VolumeCloud) -> None:
    first, second, third = await made(volumes, 3)
    orders: list[tuple[str, list[str]]] = [
        ("?sort=created_at:asc", [first, second, third]),
        ("?sort=created_at", [third, second, first]),
        ("?sort_key=size&sort_dir=asc", [third, second, first]),
        ("?sort_dir=asc", [first, second, third]),
        ("?sort=size", [first, second, third]),
        ("?sort=status:asc,name:asc", [first, second, third]),
    ]
    for query, expected in orders:
        assert await volumes.ids(query) == expected, query
    for query in ("?sort=secret", "?sort=name:up", "?sort=name&sort_key=size", "?sort_key=a", "?sort_dir=asc,desc"):
        assert (await volumes.member.get(f"{V3}/volumes{query}")).status == 400, query


async def test_volumes_are_filtered(volumes: VolumeCloud) -> None:
    first = await volumes.made(name="one", size=2, metadata={"a": "b", "c": "d"})
    second = await volumes.made(name="two", availability_zone="north", description="other")
    await volumes.act(second, "os-set_bootable", {"bootable": True})
    third = await volumes.create(name="three", size=500)
    await volumes.settled(third, "error")
    filters: list[tuple[str, list[str]]] = [
        ("name=one", [first]),
        ("name=on", []),
        ("name~=o", [second, first]),
        ("status=error", [third]),
        ("status=available", [second, first]),
        ("bootable=true", [second]),
        ("bootable=false", [third, first]),
        ("availability_zone=north", [second]),
        ("metadata=%7B%22a%22:%22b%22%7D", [first]),
        ("metadata=%7B'a':'b','c':'d'%7D", [first]),
        ("metadata=%7B'a':'c'%7D", []),
        ("metadata=%7B%7D", [third, second, first]),
        ("size=2", [first]),
        ("description~=OTH", [second]),
        (f"id={first}", [first]),
        (f"user_id={volumes.api.user}", [third, second, first]),
        ("created_at=gt:2020-01-01T00:00:00", [third, second, first]),
        ("created_at=lt:2020-01-01T00:00:00,gte:2019-01-01T00:00:00", []),
        ("volume_type=none", []),
        ("all_tenants=0&multiattach=false", [third, second, first]),
    ]
    for query, expected in filters:
        assert await volumes.ids(f"?{query}") == expected, query
    for query in ("metadata=x", "metadata=%5B1%5D", "bootable=perhaps", "created_at=then", "limit=-1", "offset=x"):
        assert (await volumes.member.get(f"{V3}/volumes?{query}")).status == 400, query


async def test_an_unknown_filter_is_refused_since_3_31_and_passed_over_before(volumes: VolumeCloud) -> None:
    volume = await volumes.made()
    reply = await volumes.member.get(f"{V3}/volumes?shape=round")
    assert reply.status == 400 and "shape" in said(reply)
    assert await volumes.ids("?shape=round", volumes.at("3.30")) == [volume]
    assert await volumes.ids("?name~=nothing", volumes.at("3.33")) == [volume]
    assert (await volumes.member.get(f"{V3}/volumes?multiattach~=x")).status == 400


async def test_markers_that_aren_t_there_are_refused(volumes: VolumeCloud) -> None:
    theirs = await volumes.made(volumes.other)
    for marker in ("unheard-of", theirs, "%00", "x" * 600):
        for more in ("", "&name=a", "&sort=name"):
            reply = await volumes.member.get(f"{V3}/volumes?marker={marker}{more}")
            assert reply.status == 400 and "marker" in said(reply), (marker, more)


async def test_an_admin_sees_all_and_a_member_their_own(volumes: VolumeCloud) -> None:
    mine, theirs = await volumes.made(), await volumes.made(volumes.other)
    assert await volumes.ids(client=volumes.admin) == []
    assert set(await volumes.ids("?all_tenants=True", volumes.admin)) == {mine, theirs}
    assert await volumes.ids(f"?all_tenants=1&project_id={volumes.api.project}", volumes.admin) == [mine]
    assert await volumes.ids(f"?project_id={volumes.api.project}", volumes.admin) == [mine]
    assert await volumes.ids("?project_id=%00", volumes.admin) == []
    for query in ("?all_tenants=1", f"?all_tenants=1&project_id={volumes.api.project}"):
        assert await volumes.ids(query, volumes.other) == [theirs]


async def test_snapshots_are_filtered_and_paged(volumes: VolumeCloud) -> None:
    one, two = await volumes.made(), await volumes.made()
    first, second, third = await volumes.taken(one, name="a"), await volumes.taken(two), await volumes.taken(one)
    assert await volumes.ids(noun="snapshots") == [third, second, first]
    assert await volumes.ids(f"?volume_id={one}", noun="snapshots") == [third, first]
    assert await volumes.ids("?name=a&status=available", noun="snapshots") == [first]
    assert await volumes.ids(f"?limit=1&marker={third}", noun="snapshots") == [second]
    reply = await volumes.member.get(f"{V3}/snapshots/detail?limit=1&with_count=1")
    assert (reply.json["count"], reply.json["snapshots_links"][0]["rel"]) == (3, "next")
    assert reply.json["snapshots"][0]["os-extended-snapshot-attributes:progress"] == "100%"


async def test_the_sums_of_all(volumes: VolumeCloud) -> None:
    volume = await volumes.made(size=2, metadata={"a": "b"})
    await volumes.made(metadata={"a": "c"})
    await volumes.taken(volume)
    reply = await volumes.member.get(f"{V3}/volumes/summary")
    assert reply.json == {"volume-summary": {"total_size": 3, "total_count": 2, "metadata": {"a": ["c", "b"]}}}
    assert (await volumes.at("3.35").get(f"{V3}/volumes/summary")).json["volume-summary"] == {
        "total_size": 3,
        "total_count": 2,
    }
    assert (await volumes.at("3.11").get(f"{V3}/volumes/summary")).status == 404


async def test_only_pools_of_what_is_listed_are_asked_where_they_stand(
    volumes: VolumeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    await volumes.made()
    north = await volumes.made(availability_zone="north")
    asked, view = list[Any](), volumes.api.cloud.view
    fresh = view.fresh

    async def noted(roles: Any, shards: Any = (0,), hosts: Any = None) -> None:
        asked.extend(hosts for role in roles if role == "volume")
        await fresh(roles, shards, hosts)

    monkeypatch.setattr(view, "fresh", noted)
    assert await volumes.ids("?limit=1") == [north]
    assert asked == [{volumes.pools[1].store.id}]
    assert await volumes.ids("?status=available&limit=1") == [north]
    assert asked[1:] == [{pool.store.id for pool in volumes.pools}]
    monkeypatch.setattr(lists, "POOLS_ASKED_MAX", 1)
    assert len(await volumes.ids("?status=available")) == 2
    assert asked[2:] == []


async def test_a_pool_that_doesn_t_answer_is_shown_as_old_as_it_is(volumes: VolumeCloud) -> None:
    volume = await volumes.made(name="here")
    await volumes.pools[0].worker.close()
    (shown,) = (await volumes.member.get(f"{V3}/volumes/detail")).json["volumes"]
    assert (shown["id"], shown["status"]) == (volume, "available")
    reply = await volumes.member.put(f"{V3}/volumes/{volume}", {"volume": {"name": "other"}})
    assert (reply.status, list(reply.json)) == (503, ["serviceUnavailable"])
    assert (await volumes.member.delete(f"{V3}/volumes/{volume}")).status == 202
    assert (await volumes.shown(volume))["status"] == "deleting"


async def test_more_than_can_be_sorted_are_refused(volumes: VolumeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    await made(volumes, 2)
    monkeypatch.setattr(lists, "SORTED_MAX", 1)
    reply = await volumes.member.get(f"{V3}/volumes?sort=name")
    assert reply.status == 400 and "created_at" in said(reply)
