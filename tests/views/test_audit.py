"""The audit: lies that show where records are joined, each found; what is late or honest isn't one."""

from collections.abc import Iterator
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from freehold.views.audit import GUESTS_AT_ONCE, NO_DEED, NOT_LEASED, OVER, UNDERSTATED, Audit
from freehold.vocabulary.codec import KIND_OF
from freehold.vocabulary.guest import Guest, GuestState
from freehold.vocabulary.host import Capacity, Host, needed_by
from freehold.vocabulary.network import FixedAddress, Port, PortWiring
from freehold.vocabulary.request import Admission
from freehold.vocabulary.word import Word
from freehold.workers.registrar.lifecycle import admitted
from tests.owners import FLAVOR, HandClock, a_build, a_deed, a_guest, a_host

R = TypeVar("R", bound=Word)
NEEDED = needed_by(FLAVOR)
WIRING = PortWiring(
    port="p1", network="n", network_name="n", segment=1, mtu=1450, mac="fa:16:3e:00:00:01", addresses=("10.0.0.9",),
    cidr="10.0.0.0/24", gateway="", dns=(), security_groups=(),
)  # fmt: skip
PORT = Port(
    id="p1",
    project="p",
    network="n",
    mac=WIRING.mac,
    device="g",
    addresses=(FixedAddress(subnet="s", address="10.0.0.9"),),
)


class Records:
    """A view."""

    def __init__(self, *records: Word) -> None:
        self.records: dict[tuple[str, str], Word] = {}
        self.keep(*records)

    def keep(self, *records: Word) -> None:
        for record in records:
            key = getattr(record, "id", "") or record.guest  # type: ignore[attr-defined]
            self.records[KIND_OF[type(record)], key] = record

    def get(self, shape: type[R], key: str) -> R | None:
        return self.records.get((KIND_OF[shape], key))  # type: ignore[return-value]

    def list(self, shape: type[R]) -> Iterator[R]:
        return iter([record for record in self.records.values() if isinstance(record, shape)])


def an_admission(guest: str = "g", host: str = "h1", deed: int = 1, **fields: Any) -> Admission:
    return replace(admitted(a_build(guest=guest)), deed=a_deed(guest, deed, host), **fields)


def honest() -> Records:
    return Records(a_host("h1", used=NEEDED), a_guest("g", "h1", ports=(WIRING,)), an_admission(), PORT)


async def found(records: Records, looks: int = 2) -> Any:
    audit = Audit(records, HandClock())
    for _ in range(looks):
        await audit.look()
    return dict(audit.findings)


async def test_who_is_honest_is_left_alone() -> None:
    assert await found(honest()) == {}


LIES: list[tuple[tuple[Word, ...], dict[str, int]]] = [
    ((replace(a_host("h1", used=NEEDED), total=Capacity(vcpus=0, ram_mib=1, disk_gib=1)),), {OVER: 1}),
    ((a_host("h1"),), {UNDERSTATED: 1}),
    ((an_admission(host="h2"),), {NO_DEED: 1}),
    ((an_admission(deed=2),), {NO_DEED: 1}),
    ((an_admission(refused_deed=1),), {NO_DEED: 1}),
    ((a_guest("k", "h1"), a_host("h1", used=NEEDED.plus(NEEDED))), {NO_DEED: 1}),
    ((replace(PORT, device="another"),), {NOT_LEASED: 1}),
    ((replace(PORT, addresses=()),), {NOT_LEASED: 1}),
    ((a_guest("g", "h1", ports=(replace(WIRING, port="p2"),)),), {NOT_LEASED: 1}),
    ((a_guest("g", "h1", ports=(replace(WIRING, addresses=("10.0.0.9", "10.0.0.1")),)),), {NOT_LEASED: 1}),
]


@pytest.mark.parametrize(("told", "wrong"), LIES)
async def test_each_lie_is_found(told: tuple[Word, ...], wrong: dict[str, int]) -> None:
    records = honest()
    records.keep(*told)
    assert await found(records) == {"h1": wrong}


async def test_a_flavor_is_what_was_admitted_whatever_the_host_says() -> None:
    records = honest()
    small = replace(FLAVOR, vcpus=0, ram_mib=0, disk_gib=0)
    guest = records.get(Guest, "g")
    assert guest is not None
    records.keep(replace(guest, spec=replace(guest.spec, flavor=small)))
    records.keep(replace(a_host("h1"), total=Capacity(vcpus=0, ram_mib=0, disk_gib=0)))
    assert await found(records) == {"h1": {OVER: 1}}


async def test_a_disk_that_is_kept_of_a_guest_that_another_has_is_no_lie() -> None:
    records = honest()
    records.keep(a_guest("g", "h1", state=GuestState.QUARANTINED), an_admission(host="h2", deed=2))
    assert await found(records) == {}


async def test_what_is_only_late_is_not_reported() -> None:
    records = honest()
    records.keep(an_admission(host="h2"))
    assert await found(records, looks=1) == {}
    audit = Audit(records, HandClock())
    await audit.look()
    records.keep(an_admission())
    await audit.look()
    assert audit.findings == {}
    records.keep(a_host("h1"))
    await audit.look()
    assert audit.findings == {}, "another lie than in the look before"
    await audit.look()
    assert audit.findings == {"h1": {UNDERSTATED: 1}}
    records.keep(a_host("h1", used=NEEDED))
    await audit.look()
    assert audit.findings == {}


async def test_a_large_cloud_is_looked_at_to_its_end() -> None:
    count = 2 * GUESTS_AT_ONCE + 3
    records = Records(a_host("h1", used=Capacity(vcpus=10**6, ram_mib=10**9, disk_gib=10**9)))
    records.keep(*(a_guest(f"g{n}", "h1") for n in range(count)))
    assert await found(records) == {"h1": {NO_DEED: count}}
    assert records.get(Host, "h1") is not None
