"""The scheduler's view chooses the host that a plain search would, and lends room no longer than it should."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.runtime.clock import HybridClock
from freehold.store.database import drop, put
from freehold.store.writing import Change
from freehold.views.fleet import PROMISE_S, Fleet
from freehold.vocabulary.envelope import Entry, Heartbeat, Owner, Position, Row
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import GuestSpec, Labels, Refusal
from freehold.vocabulary.host import Capacity, Host, Retirement
from freehold.vocabulary.request import Admission
from tests.owners import FLAVOR, HandClock, a_deed, a_guest, a_host

ONE_MIB = Capacity(vcpus=1, ram_mib=1, disk_gib=1)
ONE = Capacity(vcpus=1, ram_mib=512, disk_gib=1)


class Around:
    """A fleet, told of by hand."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.fleet = Fleet(HybridClock(self.clock))
        self.seq = 0

    def tell(self, store: str, *changes: Change, role: str = "host") -> None:
        entries = [Entry(n, 1, c.kind, c.key, c.value, "t", b"") for n, c in enumerate(changes, self.seq + 1)]
        self.seq += len(entries)
        self.fleet.apply(Owner(store=store, role=role, cluster="c"), Position(epoch="e", seq=self.seq), entries)

    def host(self, host: Host) -> None:
        self.tell(host.id, put(host.id, host))

    def beat(self, store: str) -> None:
        owner = Owner(store=store, role="host", cluster="c")
        self.fleet.heard(Heartbeat(owner=owner, position=Position(epoch="e"), time=1))

    def chosen(self, wanted: Capacity = ONE, **how: Any) -> str | None:
        found = self.fleet.choose(wanted, **how)
        return None if found is None else found.id


def refusal(guest: str) -> Change:
    return put(guest, Refusal(guest=guest, project="p", deed=1, urn="u", fault=Fault(code="NoRoom", message="full")))


AMOUNT = st.integers(0, 9)
HOST = st.fixed_dictionaries(
    {
        "vcpus": AMOUNT,
        "ram_mib": AMOUNT,
        "disk_gib": AMOUNT,
        "enabled": st.booleans(),
        "cluster": st.sampled_from("ab"),
    }
)


@given(
    hosts=st.lists(st.tuples(HOST, st.booleans()), max_size=70),
    wanted=st.builds(Capacity, vcpus=AMOUNT, ram_mib=AMOUNT, disk_gib=AMOUNT),
    cluster=st.sampled_from(["", "a", "b"]),
    refused=st.sets(st.integers(0, 70)),
    promises=st.lists(st.tuples(st.integers(0, 69), st.integers(0, 3)), max_size=10),
)
def test_the_choice_is_that_of_a_plain_search(
    hosts: list[tuple[dict[str, Any], bool]],
    wanted: Capacity,
    cluster: str,
    refused: set[int],
    promises: list[tuple[int, int]],
) -> None:
    around = Around()
    records = [a_host(f"{number}", **fields) for number, (fields, _) in enumerate(hosts)]
    free = {record.id: record.total for record in records}
    for record, (_, heard) in zip(records, hosts, strict=True):
        around.host(record)
        if heard:
            around.beat(record.id)
    for number, (index, amount) in enumerate(promises):
        taken = Capacity(vcpus=amount, ram_mib=amount, disk_gib=amount)
        around.fleet.promise(f"g{number}", f"{index}", taken)
        if f"{index}" in free:
            free[f"{index}"] = free[f"{index}"].minus(taken)
    fits = [
        record
        for record, (_, heard) in zip(records, hosts, strict=True)
        if heard
        and record.enabled
        and free[record.id].fits(wanted)
        and cluster in ("", record.cluster)
        and int(record.id) not in refused
    ]
    best = max((free[record.id].ram_mib for record in fits), default=None)
    chosen = around.fleet.choose(wanted, cluster, [f"{number}" for number in refused])
    assert (chosen is None) == (best is None)
    if chosen is not None:
        assert chosen in fits and free[chosen.id].ram_mib == best


def one_small_host() -> Around:
    around = Around()
    around.host(a_host("h", vcpus=1))
    around.beat("h")
    return around


def test_a_promise_takes_room_until_the_host_tells_of_the_guest() -> None:
    around = one_small_host()
    around.fleet.promise("g", "h", ONE)
    assert around.chosen() is None
    around.tell("h", put("h", a_host("h", vcpus=1, used=ONE)), put("g", a_guest("g", "h")))
    assert around.chosen() is None, "the host counts it itself now"
    around.host(a_host("h", vcpus=1))
    assert around.chosen() == "h", "counted twice"


def test_a_promise_is_given_back_when_the_host_refuses() -> None:
    around = one_small_host()
    around.fleet.promise("g", "h", ONE)
    around.tell("other", refusal("g"))
    assert around.chosen() is None, "another host's word is not this one's"
    around.tell("h", refusal("g"))
    assert around.chosen() == "h"


def test_a_promise_is_given_back_when_the_host_stays_silent_about_it() -> None:
    around = one_small_host()
    around.fleet.promise("g", "h", ONE)
    around.clock.move(PROMISE_S + 1)
    around.beat("h")
    assert around.chosen() == "h"


def test_a_promise_survives_the_hosts_other_news_and_moves_with_its_guest() -> None:
    around = one_small_host()
    around.host(a_host("i", vcpus=1))
    around.beat("i")
    around.fleet.promise("g", "h", ONE)
    around.host(a_host("h", vcpus=1))
    assert around.chosen(refused=["i"]) is None
    around.fleet.promise("g", "i", ONE)
    assert around.chosen(refused=["i"]) == "h" and around.chosen(refused=["h"]) is None
    around.fleet.give_back("g")
    assert around.chosen(refused=["h"]) == "i"


def test_a_silent_host_is_not_chosen() -> None:
    around = Around()
    around.host(a_host("h"))
    assert around.chosen() is None, "not heard yet"
    around.beat("h")
    assert around.chosen() == "h"
    around.clock.move(15)
    assert around.chosen() is None
    around.beat("h")
    assert around.chosen() == "h"


def admission(guest: str, deed: int = 1, host: str = "h") -> Change:
    return put(
        guest,
        Admission(
            guest=guest,
            project="p",
            user="u",
            urn="u",
            created=1,
            hostname="h",
            labels=Labels(name="n"),
            spec=GuestSpec(flavor=FLAVOR, image=""),
            deed=a_deed(guest, deed, host) if deed else None,
        ),
    )


def test_where_guests_are_is_what_the_registrar_says() -> None:
    around = Around()
    around.tell("r", admission("g", 1, "h"), admission("waiting", 0), role="registrar")
    assert around.fleet.placed("g") == ("h", "c", "p") and around.fleet.placed("waiting") is None
    around.tell("r", admission("g", 2, "i"), role="registrar")
    assert around.fleet.placed("g") == ("i", "c", "p")
    around.tell("r", drop("admission", "g"), admission("k"), role="registrar")
    assert around.fleet.placed("g") is None and around.fleet.placed("k") is not None
    change = admission("new")
    owner = Owner(store="r", role="registrar", cluster="c")
    around.fleet.replace(owner, Position(epoch="f"), [Row(change.kind, change.key, 1, change.value or b"")])
    assert around.fleet.placed("k") is None and around.fleet.placed("new") is not None
    other = Owner(store="another shard", role="registrar", cluster="c", shard=1)
    around.fleet.replace(other, Position(epoch="f"), [])
    assert around.fleet.placed("new") is not None


def test_more_hosts_than_the_first_columns_hold() -> None:
    around = Around()
    for number in range(300):
        around.host(a_host(f"{number}", ram_mib=1000 + number))
        around.beat(f"{number}")
    assert around.chosen() == "299" and len(around.fleet.hosts()) == 300


def test_a_retired_host_is_no_host_whatever_it_says() -> None:
    around = Around()
    gone = put("h1", Retirement(host="h1", name="h1", user="u", time=1))
    for host in ("h1", "h2"):
        around.host(a_host(host, ram_mib=99 if host == "h1" else 9))
        around.beat(host)
    assert around.chosen(ONE_MIB) == "h1"
    around.tell("r", gone, role="registrar")
    assert (around.chosen(ONE_MIB), [host.id for host in around.fleet.hosts()]) == ("h2", ["h2"])
    around.host(a_host("h1", ram_mib=99))
    around.beat("h1")
    assert (around.chosen(ONE_MIB), around.fleet.host("h1")) == ("h2", None)


def test_a_retirement_that_is_heard_of_before_its_host() -> None:
    around = Around()
    around.tell("r", put("h1", Retirement(host="h1", name="h1", user="u", time=1)), role="registrar")
    around.host(a_host("h1"))
    around.beat("h1")
    assert around.chosen() is None and not around.fleet.hosts()
