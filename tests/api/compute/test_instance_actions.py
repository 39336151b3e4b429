"""Actions: those of the hosts that had the guest, and of no other."""

from freehold.store.database import put
from freehold.vocabulary.guest import Action
from tests.api.compute.conftest import V21, Compute


async def test_what_another_host_tells_of_a_guest_is_not_listed(compute: Compute) -> None:
    guest = await compute.running()
    liar = compute.hosts[1 - await compute.host_of(guest)]
    lie = Action(guest=guest, project=compute.api.project, urn="urn:lie", action="stop", user="x", deed=99, started=1)
    mark = Action(guest="g", project="p", urn="urn:mark", action="stop", user="x", started=1)
    await liar.commit([put(f"{guest}/urn:lie", lie), put("g/urn:mark", mark)], "lie")
    await compute.until(lambda: knows(compute, "g/urn:mark"), bool)
    listed = (await compute.member.get(f"{V21}/servers/{guest}/os-instance-actions")).json["instanceActions"]
    assert [action["action"] for action in listed] == ["create"]
    assert (await compute.member.get(f"{V21}/servers/{guest}/os-instance-actions/urn:lie")).status == 404


async def knows(compute: Compute, key: str) -> bool:
    return compute.api.cloud.view.get(Action, key) is not None
