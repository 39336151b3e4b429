"""What is shown of a server: one whose request has failed but runs all the same, and one of which a host tells lies."""

import pytest
from msgspec.structs import replace

from freehold.api.compute.server_view import Server, shown
from freehold.store.database import put
from freehold.store.writing import Change
from freehold.views.audit import OVER, UNDERSTATED
from freehold.views.believed import NO_MACHINE, OTHER_HOST, OTHER_ROLE
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.host import NOTHING, Host
from freehold.vocabulary.request import Admission, Stage
from freehold.vocabulary.tenant import SigningKey
from freehold.workers.registrar import lifecycle
from tests.api.compute.conftest import V21, Compute
from tests.owners import a_build, a_guest

FAILED = replace(
    lifecycle.admitted(a_build(guest="g")), stage=Stage.FAILED, fault=Fault(code="NoAnswer", message="too late")
)


@pytest.mark.parametrize(
    ("guest", "status"),
    [(None, "ERROR"), (a_guest("g", "h1", launched=None), "ERROR"), (a_guest("g", "h1"), "ACTIVE")],
    ids=["no guest", "never ran", "runs"],
)
def test_a_guest_that_runs_is_shown_though_its_request_has_failed(guest: Guest | None, status: str) -> None:
    assert shown(Server(FAILED, guest)).status == status


def test_of_a_guest_whose_host_was_never_read_nothing_is_claimed() -> None:
    runs = replace(lifecycle.admitted(a_build(guest="g")), stage=Stage.ACTIVE)
    assert shown(Server(runs, None, unheard=True)).status == "UNKNOWN"
    assert shown(Server(runs, None)).status == "BUILD", "its host is about to say so"


# --- a host that lies


async def lying(compute: Compute, host: int, *changes: Change) -> None:
    """The host writes it, tells it, and every reader has heard it."""
    store = compute.hosts[host]
    await store.commit(changes, "lie")
    await compute.until(lambda: _stands(compute, store.id), lambda seq: seq == store.position().seq)


async def _stands(compute: Compute, store: str) -> int:
    seen = compute.api.cloud.view.owner_seen(store)
    return -1 if seen is None else seen.position.seq


async def refused(compute: Compute, host: int) -> dict[str, int]:
    hosts = (await compute.admin.get("/freehold/v1/hosts")).json["hosts"]
    found: dict[str, int] = next(one["refused"] for one in hosts if one["id"] == compute.hosts[host].id)
    return found


def held(compute: Compute, guest: str) -> Guest:
    found = compute.api.cloud.view.get(Guest, guest)
    assert found is not None
    return found


@pytest.mark.parametrize("deed", [1, 99])
async def test_a_host_that_claims_anothers_guest_changes_nothing_of_it(compute: Compute, deed: int) -> None:
    guest = await compute.running()
    before, host = await compute.server(guest), await compute.host_of(guest)
    liar = 1 - host
    claimed = replace(held(compute, guest), host=compute.hosts[liar].id, deed=deed, state=GuestState.CRASHED)
    await lying(compute, liar, put(guest, claimed))
    assert await compute.server(guest) == before
    assert (await compute.act(guest, "os-stop")).status == 202, "a command goes to who has it"
    await compute.settled(guest, "SHUTOFF")


async def test_what_a_host_tells_of_others_is_refused_and_counted(compute: Compute) -> None:
    guest = await compute.running()
    host = await compute.host_of(guest)
    liar, victim = compute.hosts[1 - host], compute.hosts[host]
    services = (await compute.admin.get(f"{V21}/os-services")).json["services"]
    of_victim = compute.api.cloud.view.get(Host, victim.id)
    admission = compute.api.cloud.view.get(Admission, guest)
    assert of_victim is not None and admission is not None
    await lying(
        compute,
        1 - host,
        put(victim.id, replace(of_victim, total=NOTHING)),
        put(guest, held(compute, guest)),
        put(guest, replace(admission, deed=None)),
        put("k", SigningKey(id="k", public_jwk="{}")),
    )
    assert await refused(compute, 1 - host) == {OTHER_HOST: 2, OTHER_ROLE: 2}
    assert await refused(compute, host) == {}
    after = (await compute.admin.get(f"{V21}/os-services")).json["services"]
    assert [one["host"] for one in after] == [one["host"] for one in services]
    assert compute.api.cloud.view.get(SigningKey, "k") is None
    assert compute.api.cloud.view.get(Host, victim.id) == of_victim
    assert compute.api.cloud.view.get(Admission, guest) == admission
    owners = (await compute.admin.get("/freehold/v1/owners")).json["owners"]
    assert {one["store"]: one["refused"] for one in owners if one["refused"]} == {
        liar.id: {OTHER_HOST: 2, OTHER_ROLE: 2}
    }


async def test_figures_of_no_machine_leave_the_host_as_it_was(compute: Compute) -> None:
    store = compute.hosts[0]
    before = store.read_as(Host, store.id)
    assert before is not None
    await lying(compute, 0, put(store.id, replace(before, total=replace(before.total, ram_mib=2**40))))
    assert compute.api.cloud.view.get(Host, store.id) == before
    assert await refused(compute, 0) == {NO_MACHINE: 1}


async def test_addresses_are_those_that_were_leased(compute: Compute) -> None:
    mine, other = await compute.running(), await compute.create(compute.other)
    await compute.until(lambda: compute.server(other, compute.other), lambda server: server["status"] == "ACTIVE")
    host = await compute.host_of(mine)
    true = (await compute.server(mine))["addresses"]
    theirs = held(compute, other).ports[0]
    (wiring,) = held(compute, mine).ports
    for lie in (
        (replace(wiring, addresses=("10.20.0.250",)),),
        (replace(wiring, mac="fa:16:3e:ff:ff:ff", addresses=(*wiring.addresses, "10.20.0.250")), theirs),
    ):
        await lying(compute, host, put(mine, replace(held(compute, mine), ports=lie)))
        shown = (await compute.server(mine))["addresses"]
        assert shown == (true if len(lie) == 2 else {"shared": []})
        ports = (await compute.member.get(f"{V21}/servers/{mine}/os-interface")).json["interfaceAttachments"]
        assert [port["port_id"] for port in ports] == [wiring.port]
        found = (await compute.member.get(f"{V21}/servers?ip=10.20.0.250")).json["servers"]
        assert found == []


async def test_a_host_above_what_it_registered_is_shown_for_it(compute: Compute) -> None:
    guest = await compute.running()
    host = await compute.host_of(guest)
    store = compute.hosts[host]
    record = store.read_as(Host, store.id)
    assert record is not None
    audit = compute.api.cloud.view.audit  # type: ignore[attr-defined]
    await audit.look()
    await audit.look()
    assert audit.findings == {}
    await lying(compute, host, put(store.id, replace(record, total=NOTHING, used=NOTHING)))
    await audit.look()
    await audit.look()
    hosts = (await compute.admin.get("/freehold/v1/hosts")).json["hosts"]
    assert {one["name"]: one["contradictions"] for one in hosts} == {
        f"host{host}": {OVER: 1, UNDERSTATED: 1},
        f"host{1 - host}": {},
    }
    assert (await compute.server(guest))["status"] == "ACTIVE", "the registrar has given it the guest"
