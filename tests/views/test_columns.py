"""Choosing by columns: always what looking at one host after the other would choose."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.views import columns as columns_module
from freehold.views.columns import PACK, SPREAD, Columns, Weights, Wish
from freehold.vocabulary.choice import Filter, Need
from freehold.vocabulary.host import Capacity

NOW = 10.0
ONE = Capacity(vcpus=1, ram_mib=512, disk_gib=1)

rooms = st.builds(
    Capacity, vcpus=st.integers(-2, 6), ram_mib=st.integers(-2, 6).map(lambda n: n * 512), disk_gib=st.integers(-2, 6)
)
wants = st.builds(
    Capacity, vcpus=st.integers(0, 3), ram_mib=st.integers(0, 3).map(lambda n: n * 512), disk_gib=st.integers(0, 3)
)
weights = st.sampled_from([SPREAD, PACK, Weights(vcpus=100, ram_mib=1), Weights(vcpus=-512, ram_mib=1, disk_gib=7)])


@dataclass
class One:
    """A host, as who looks at one after the other knows it."""

    free: Capacity
    cluster: str
    is_open: bool
    until: float
    qualities: frozenset[str] = frozenset()

    def fits(self, wanted: Capacity, cluster: str, *, silent: bool = False, needs: Sequence[Need] = ()) -> bool:
        room = all(getattr(self.free, name) >= getattr(wanted, name) for name in ("vcpus", "ram_mib", "disk_gib"))
        here = room and self.is_open and (silent or self.until > NOW) and cluster in ("", self.cluster)
        return here and all(self.meets(need) for need in needs)

    def meets(self, need: Need) -> bool:
        has_all = all(name in self.qualities for name in need.every)
        has_none = not any(name in self.qualities for name in need.none)
        return has_all and has_none and all(any(name in self.qualities for name in one) for one in need.some)

    def take(self, wanted: Capacity) -> None:
        free = self.free
        self.free = Capacity(
            vcpus=free.vcpus - wanted.vcpus,
            ram_mib=free.ram_mib - wanted.ram_mib,
            disk_gib=free.disk_gib - wanted.disk_gib,
        )


SEVERAL = [*"abcd", *(f"x{number}" for number in range(130))]
"""More names than three words have bits: the first few are common, the others rare."""
names = st.frozensets(st.one_of(st.sampled_from(SEVERAL[:4]), st.sampled_from(SEVERAL)), max_size=5)
needed = st.lists(
    st.builds(
        Need,
        st.sampled_from([Filter.TRAITS, Filter.IMAGE]),
        st.frozensets(st.sampled_from(SEVERAL[:4]), max_size=2),
        st.frozensets(st.sampled_from([*SEVERAL[:4], "nobody has it"]), max_size=2),
        st.lists(names, max_size=2).map(tuple),
    ),
    max_size=2,
)
hosts = st.lists(
    st.builds(
        One,
        rooms,
        st.sampled_from(["c1", "c2"]),
        st.booleans(),
        st.sampled_from([NOW - 1, NOW, NOW + 1]),
        st.one_of(st.just(frozenset("ab")), names),
    ),
    max_size=80,
)


def columns_of(known: list[One], how: Weights = SPREAD) -> Columns:
    columns = Columns(how)
    for one in known:
        row = columns.add()
        columns.hear(row, one.until)
        columns.put(row, one.free, one.cluster, is_open=one.is_open)
        columns.set_qualities(row, one.qualities)
    return columns


def best_score(
    known: list[One], how: Weights, wanted: Capacity, cluster: str, needs: Sequence[Need] = ()
) -> int | None:
    return max((how.of(one.free) for one in known if one.fits(wanted, cluster, needs=needs)), default=None)


@given(hosts, wants, st.sampled_from(["", "c1", "c3"]), weights, st.booleans(), needed)
def test_what_fits_is_what_one_after_the_other_would_say(
    known: list[One], wanted: Capacity, cluster: str, how: Weights, silent: bool, needs: list[Need]
) -> None:
    columns = columns_of(known, how)
    for _ in range(2):  # the second time nobody has fallen silent since
        row = columns.best(Wish(wanted, cluster, silent=silent, needs=needs), NOW, lambda many: 0)
        fit = [one for one in known if one.fits(wanted, cluster, silent=silent, needs=needs)]
        assert (row is None) is not bool(fit)
        if row is not None:
            assert known[row] in fit and how.of(known[row].free) == max(how.of(one.free) for one in fit)


@given(hosts, wants, st.sampled_from(["", "c2"]), weights, st.randoms(use_true_random=False), needed)
def test_one_decision_after_the_other_chooses_the_best_each_time(
    known: list[One], wanted: Capacity, cluster: str, how: Weights, dice: object, needs: list[Need]
) -> None:
    columns = columns_of(known, how)
    for _ in range(12):
        wish = Wish(wanted, cluster, needs=needs)
        row = columns.best(wish, NOW, dice.randrange)  # type: ignore[attr-defined]
        wished = best_score(known, how, wanted, cluster, needs)
        among = columns.best_among(range(len(known)), wish, NOW, dice.randrange)  # type: ignore[attr-defined]
        assert (None if among is None else how.of(known[among].free)) == wished
        assert (None if row is None else how.of(known[row].free)) == wished
        if row is None:
            return
        assert known[row].fits(wanted, cluster, needs=needs)
        columns.take(row, wanted)
        known[row].take(wanted)
        assert columns.free(row) == known[row].free


@given(hosts, wants, st.integers(1, 30), weights, st.randoms(use_true_random=False), needed)
def test_many_that_want_the_same_are_placed_as_one_after_the_other(
    known: list[One], wanted: Capacity, count: int, how: Weights, dice: object, needs: list[Need]
) -> None:
    columns = columns_of(known, how)
    rows = columns.best_of(Wish(wanted, needs=needs), count, NOW, dice.randrange)  # type: ignore[attr-defined]
    left = [int(row) for row in rows]
    for _ in range(count):
        wished = best_score(known, how, wanted, "", needs)
        if wished is None:
            break
        # one of those that are the best now is among them
        best = (row for row in left if known[row].fits(wanted, "", needs=needs))
        row = next((row for row in best if how.of(known[row].free) == wished), None)
        assert row is not None
        left.remove(row)
        known[row].take(wanted)
    assert not left


def test_among_many_the_few_that_are_guessed_at_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_module, "LOOKED_AT", 20)
    sizes = [(number * 7919) % 5000 for number in range(5000)]
    known = [One(Capacity(vcpus=64, ram_mib=size, disk_gib=64), "c", True, NOW + 1) for size in sizes]
    wanted = Capacity(vcpus=1, ram_mib=1, disk_gib=1)
    columns = columns_of(known)
    assert len(columns._candidates(columns._marked(Wish(wanted), NOW), 30)) < 2500
    chosen = columns.best_of(Wish(wanted), 30, NOW, lambda many: 0)
    taken: list[int] = []
    for row in chosen.tolist():
        taken.append(known[row].free.ram_mib)
        known[row].take(wanted)
    heights = sorted((size - depth for size in sizes for depth in range(30)), reverse=True)
    assert sorted(taken, reverse=True) == heights[:30]


def peak_bytes(rows: int) -> int:
    """What a decision among so many hosts allocates at the most."""
    free, has = [Capacity(vcpus=9, ram_mib=n, disk_gib=9) for n in range(rows)], frozenset(SEVERAL[:100])
    columns = columns_of([One(one, "c", True, NOW + 1, has) for one in free])
    need = Need(Filter.TRAITS, frozenset(SEVERAL[:80]), frozenset(["z"]), (frozenset(["x1", "x90"]),))
    wish = Wish(Capacity(vcpus=1, ram_mib=1, disk_gib=1), "c", refused=(3, 4), needs=(need,))
    columns.best(wish, NOW, lambda many: 0)
    tracemalloc.start()
    try:
        for _ in range(5):
            assert columns.best(wish, NOW, lambda many: 0) == rows - 1
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_decision_allocates_nothing_that_grows_with_the_fleet() -> None:
    assert peak_bytes(40_000) - peak_bytes(20_000) < 5_000, "not even a mask of them"


def test_of_equally_good_hosts_each_is_chosen() -> None:
    known = [One(ONE, "c", True, NOW + 1) for _ in range(5)]
    columns = columns_of(known)
    chosen = {columns.best(Wish(ONE), NOW, lambda many, n=n: n % many) for n in range(5)}  # type: ignore[misc]
    assert chosen == set(range(5))


def test_who_falls_silent_is_not_chosen_and_who_is_heard_again_is() -> None:
    columns = columns_of([One(ONE, "c", True, NOW + 1)])
    assert columns.best(Wish(ONE), NOW, lambda many: 0) == 0
    assert columns.best(Wish(ONE), NOW + 1, lambda many: 0) is None
    columns.hear(0, NOW + 5)
    assert columns.best(Wish(ONE), NOW + 1, lambda many: 0) == 0
    columns.set_open(0, False)
    assert columns.best(Wish(ONE), NOW + 1, lambda many: 0) is None


@pytest.mark.parametrize("far", [1 << 40, -(1 << 40)])
def test_a_score_stays_within_its_bits(far: int) -> None:
    assert Weights(ram_mib=1).of(Capacity(vcpus=0, ram_mib=far, disk_gib=0)) in (1, (1 << 31) - 1)


WITH_A, WITHOUT_B = Need(Filter.TRAITS, every=frozenset("a")), Need(Filter.IMAGE, none=frozenset("b"))


@given(hosts, wants, st.sampled_from(["", "c1", "c9"]), st.booleans())
def test_what_leaves_a_host_out_is_the_first_thing_that_it_lacks(
    known: list[One], wanted: Capacity, cluster: str, silent: bool
) -> None:
    def lacks(one: One) -> Filter | None:
        tests = {
            Filter.CLOSED: one.is_open,
            Filter.SILENT: silent or one.until > NOW,
            Filter.ZONE: cluster in ("", one.cluster),
            Filter.TRAITS: one.meets(WITH_A),
            Filter.IMAGE: one.meets(WITHOUT_B),
            Filter.VCPUS: one.free.vcpus >= wanted.vcpus,
            Filter.MEMORY: one.free.ram_mib >= wanted.ram_mib,
            Filter.DISK: one.free.disk_gib >= wanted.disk_gib,
        }
        return next((name for name, passes in tests.items() if not passes), None)

    needs = (WITH_A, WITHOUT_B)
    wish = Wish(wanted, cluster, (), silent, needs)
    found = {name: rows.tolist() for name, rows in columns_of(known).narrowed(wish, NOW)}
    for name, rows in found.items():
        assert rows == [row for row, one in enumerate(known) if lacks(one) is name]
    left = [row for row, one in enumerate(known) if lacks(one) is None]
    assert left == [row for row, one in enumerate(known) if one.fits(wanted, cluster, silent=silent, needs=needs)]
