"""Stories: what the owners' logs say of an id, in order, with causes."""

from freehold.runtime.chance import SeededChance, new_id
from tests.api.conftest import Api


async def test_a_network_s_story_begins_with_its_making_and_names_its_owner(api: Api) -> None:
    made = await api.admin.post("/network/v2.0/networks", {"network": {"name": "told"}})
    network = made.json["network"]["id"]
    await api.admin.put(f"/network/v2.0/networks/{network}", {"network": {"name": "told again"}})
    story = (await api.admin.get(f"/freehold/v1/stories/{network}")).json["story"]
    assert [(line["owner"], line["kind"], line["key"]) for line in story] == [("network", "network", network)] * 2
    assert [line["seq"] for line in story] == sorted(line["seq"] for line in story)
    assert all(line["cause"] for line in story)


async def test_what_was_deleted_is_told_as_deleted(api: Api) -> None:
    made = await api.admin.post("/network/v2.0/networks", {"network": {"name": "told"}})
    network = made.json["network"]["id"]
    await api.admin.delete(f"/network/v2.0/networks/{network}")
    story = (await api.admin.get(f"/freehold/v1/stories/{network}")).json["story"]
    assert story[-1]["what"] == "deleted"


async def test_an_id_that_nobody_knows_is_not_found(api: Api) -> None:
    reply = await api.admin.get(f"/freehold/v1/stories/{new_id(SeededChance(1))}")
    assert (reply.status, reply.json["error"]["code"]) == (404, 404)


async def test_stories_are_for_admins(api: Api) -> None:
    assert (await api.member.get("/freehold/v1/stories/anything")).status == 403
    assert (await api.nobody.get("/freehold/v1/stories/anything")).status == 401


async def test_secrets_are_in_no_story(api: Api) -> None:
    body = {"user": {"name": "storied", "password": "never to be told"}}
    user = (await api.admin.post("/identity/v3/users", body)).json["user"]["id"]
    reply = await api.admin.get(f"/freehold/v1/stories/{user}")
    assert reply.status == 200
    assert b"never to be told" not in reply.body
    assert b"argon2" not in reply.body
