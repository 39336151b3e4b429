"""What isn't offered."""

from freehold.api.volume.absent import COLLECTIONS
from tests.api.conftest import Api
from tests.api.volume.conftest import V3

LAST = "volume 3.71"


async def test_there_is_none_of_it_and_none_can_be_made(api: Api) -> None:
    for noun, name in COLLECTIONS.items():
        for path in (f"{V3}/{noun}", f"{V3}/{api.project}/{noun}/detail"):
            reply = await api.member.get(path, openstack_api_version=LAST)
            assert (reply.status, reply.json) == (200, {name: []}), path
        one = f"{V3}/{noun}/x"
        for method in ("GET", "DELETE"):
            assert (await api.member.ask(method, one, headers={"openstack-api-version": LAST})).status == 404
        made = await api.member.ask("POST", f"{V3}/{noun}", {}, {"openstack-api-version": LAST})
        assert made.status == 400 and noun in made.json["badRequest"]["message"]


async def test_what_came_later_isn_t_there_before(api: Api) -> None:
    for noun in ("attachments", "groups", "group_types", "group_snapshots", "clusters", "volume-transfers"):
        assert (await api.member.get(f"{V3}/{noun}")).status == 404


async def test_no_type_is_encrypted(api: Api) -> None:
    assert (await api.admin.get(f"{V3}/types/x/encryption")).json == {}
    assert (await api.admin.post(f"{V3}/types/x/encryption", {})).status == 400
