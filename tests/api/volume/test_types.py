"""Volume types: made by admins, and given to volumes."""

from typing import Any

from freehold.api.volume.types import DEFAULT_SPEC
from freehold.vocabulary.volume import Volume
from tests.api.volume.conftest import V3, VolumeCloud
from tests.api.volume.test_volume_create import said


async def made(volumes: VolumeCloud, name: str, **fields: Any) -> str:
    reply = await volumes.admin.post(f"{V3}/types", {"volume_type": {"name": name} | fields})
    assert reply.status == 200, reply.body
    return str(reply.json["volume_type"]["id"])


async def names(volumes: VolumeCloud, query: str = "", *, admin: bool = False) -> list[str]:
    client = volumes.admin if admin else volumes.member
    return [one["name"] for one in (await client.get(f"{V3}/types{query}")).json["volume_types"]]


async def test_a_type_is_made_changed_and_deleted(volumes: VolumeCloud) -> None:
    fast = await made(volumes, "fast", description="on flash", extra_specs={"a": "b"})
    path = f"{V3}/types/{fast}"
    shown = (await volumes.admin.get(path)).json["volume_type"]
    assert (shown["name"], shown["description"], shown["extra_specs"]) == ("fast", "on flash", {"a": "b"})
    assert (shown["is_public"], shown["os-volume-type-access:is_public"]) == (True, True)
    assert (await volumes.member.get(path)).json["volume_type"]["extra_specs"] == {}
    reply = await volumes.admin.put(path, {"volume_type": {"name": "faster", "description": None}})
    assert (reply.status, reply.json["volume_type"]["name"]) == (200, "faster")
    assert await names(volumes) == ["faster"]
    assert (await volumes.admin.delete(path)).status == 202
    assert await names(volumes) == []
    assert (await volumes.admin.delete(path)).status == 404


async def test_what_may_be_said_of_a_type(volumes: VolumeCloud) -> None:
    fast = await made(volumes, "fast")
    given: list[tuple[Any, int]] = [
        ({"name": "fast"}, 409),
        ({"name": ""}, 400),
        ({"name": "  "}, 400),
        ({"name": "a\0"}, 400),
        ({}, 400),
        ({"name": "b", "is_public": "yes"}, 400),
        ({"name": "b", "extra_specs": {"a/b": "c"}}, 400),
        ({"name": "b", "extra_specs": {DEFAULT_SPEC: "perhaps"}}, 400),
        ({"name": "c", "size": 1}, 400),
    ]
    for fields, status in given:
        reply = await volumes.admin.post(f"{V3}/types", {"volume_type": fields})
        assert reply.status == status, (fields, reply.body)
    refused: list[Any] = [{}, {"name": " "}, {"extra_specs": {}}]
    for changes in refused:
        assert (await volumes.admin.put(f"{V3}/types/{fast}", {"volume_type": changes})).status == 400


async def test_members_read_types_alone(volumes: VolumeCloud) -> None:
    fast = await made(volumes, "fast")
    path = f"{V3}/types/{fast}"
    for reply in (
        await volumes.member.post(f"{V3}/types", {"volume_type": {"name": "mine"}}),
        await volumes.member.put(path, {"volume_type": {"name": "mine"}}),
        await volumes.member.delete(path),
        await volumes.member.post(f"{path}/extra_specs", {"extra_specs": {}}),
        await volumes.member.get(f"{path}/os-volume-type-access"),
    ):
        assert (reply.status, list(reply.json)) == (403, ["forbidden"])


async def test_a_volume_has_a_type_by_its_name_or_its_id(volumes: VolumeCloud) -> None:
    fast = await made(volumes, "fast")
    made_of = [await volumes.made(volume_type=named) for named in ("fast", fast)]
    for volume in made_of:
        shown = await volumes.shown(volume)
        assert (shown["volume_type"], shown["volume_type_id"]) == ("fast", fast)
        record = volumes.api.cloud.view.get(Volume, volume)
        assert record is not None and (record.spec.type, record.spec.type_name) == (fast, "fast")
    await volumes.admin.put(f"{V3}/types/{fast}", {"volume_type": {"name": "quick"}})
    assert (await volumes.shown(made_of[0]))["volume_type"] == "quick"
    assert len(await volumes.ids("?volume_type=quick")) == 2
    reply = await volumes.admin.delete(f"{V3}/types/{fast}")
    assert reply.status == 400 and "in use" in said(reply)


async def test_a_private_type_is_for_projects_that_have_access(volumes: VolumeCloud) -> None:
    vault = await made(volumes, "vault", **{"os-volume-type-access:is_public": False})
    path = f"{V3}/types/{vault}"
    assert (await volumes.member.get(path)).status == 404
    assert (await volumes.asked(volume_type="vault")).status == 404
    assert (await names(volumes), await names(volumes, admin=True)) == ([], ["vault"])
    added = {"addProjectAccess": {"project": volumes.api.project}}
    assert (await volumes.admin.post(f"{path}/action", added)).status == 202
    assert (await volumes.asked(volume_type="vault")).status == 202
    assert (await volumes.asked(volumes.other, volume_type="vault")).status == 404
    assert await names(volumes) == ["vault"]


async def test_types_are_listed_by_who_may_use_them_and_by_name(volumes: VolumeCloud) -> None:
    await made(volumes, "fast")
    await made(volumes, "vault", is_public=False)
    await made(volumes, "slow")
    lists: list[tuple[str, list[str]]] = [
        ("", ["slow", "vault", "fast"]),
        ("?is_public=None", ["slow", "vault", "fast"]),
        ("?is_public=true", ["slow", "fast"]),
        ("?is_public=False", ["vault"]),
        ("?name=fast", ["fast"]),
        ("?sort=name:asc", ["fast", "slow", "vault"]),
    ]
    for query, expected in lists:
        assert await names(volumes, query, admin=True) == expected, query
    assert await names(volumes, "?is_public=False") == ["slow", "fast"]
    reply = await volumes.admin.get(f"{V3}/types?limit=1")
    link = reply.json["volume_type_links"][0]["href"]
    assert await names(volumes, link[link.index("?") :], admin=True) == ["vault"]


async def test_there_is_one_default_type(volumes: VolumeCloud) -> None:
    assert (await volumes.member.get(f"{V3}/types/default")).status == 404
    assert (await volumes.shown(await volumes.made()))["volume_type"] is None
    fast, slow = await made(volumes, "fast"), await made(volumes, "slow")
    for kind, name in ((fast, "fast"), (slow, "slow")):
        mark = {"extra_specs": {DEFAULT_SPEC: "true"}}
        assert (await volumes.admin.post(f"{V3}/types/{kind}/extra_specs", mark)).status == 200
        assert (await volumes.member.get(f"{V3}/types/default")).json["volume_type"]["name"] == name
        assert (await volumes.shown(await volumes.made()))["volume_type"] == name
    assert (await volumes.admin.get(f"{V3}/types/{fast}/extra_specs")).json == {"extra_specs": {}}
    assert (await volumes.shown(await volumes.made(volume_type="fast")))["volume_type"] == "fast"
    await volumes.admin.delete(f"{V3}/types/{slow}/extra_specs/{DEFAULT_SPEC}")
    assert (await volumes.member.get(f"{V3}/types/default")).status == 404


async def test_a_copy_has_the_type_of_what_it_is_a_copy_of(volumes: VolumeCloud) -> None:
    await made(volumes, "fast")
    await made(volumes, "slow", extra_specs={DEFAULT_SPEC: "true"})
    volume = await volumes.made(volume_type="fast")
    assert (await volumes.shown(await volumes.made(source_volid=volume)))["volume_type"] == "fast"
    assert (await volumes.asked(source_volid=volume, volume_type="fast")).status == 202
    reply = await volumes.asked(source_volid=volume, volume_type="slow")
    assert reply.status == 400 and "slow" in said(reply)
