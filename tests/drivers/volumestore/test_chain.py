"""The layers of a volume: what they hold, whatever is done with them in whatever order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.drivers.volumestore.chain import LAYERS_MAX, Chain, Layer
from freehold.drivers.volumestore.interface import VolumePlan
from freehold.drivers.volumestore.simulated import Blocks, SimulatedVolume
from freehold.vocabulary.errors import Conflict, NotFound
from freehold.vocabulary.units import GIB

VOLUME = "0cca1991-394f-430f-bed5-f0ca5be05779"


def chain(*snapshots: str) -> Chain:
    """A chain whose layers belong to these; the topmost to nobody."""
    found = Chain(volume=VOLUME)
    for number, snapshot in enumerate(snapshots):
        found = found.with_snapshot(snapshot or f"gone {number}")
    for number, snapshot in enumerate(snapshots):
        found = found if snapshot else found.without_snapshot(f"gone {number}")
    return found


def test_a_snapshot_closes_the_topmost_layer() -> None:
    assert chain().layers == (Layer(name=1),)
    assert chain("a", "b").layers == (Layer(name=1, snapshot="a"), Layer(name=2, snapshot="b"), Layer(name=3))
    assert chain("a", "b").snapshots == ("a", "b")


def test_what_makes_up_a_snapshot() -> None:
    assert [layer.name for layer in chain("a", "", "b").up_to("b")] == [1, 2, 3]
    assert [layer.name for layer in chain("a", "", "b").up_to("a")] == [1]
    assert [layer.name for layer in chain("a", "").up_to("")] == [1, 2, 3]
    with pytest.raises(NotFound):
        chain("a").up_to("b")


@pytest.mark.parametrize(
    ("snapshots", "exported", "pair"),
    [
        ((), False, None),
        (("a",), False, None),
        (("",), False, (1, 2)),
        (("",), True, None),  # the upper one is being written
        (("", "a"), True, (1, 2)),
        (("a", ""), True, None),
        (("a", ""), False, (2, 3)),
        (("a", "", "", "b"), True, (2, 3)),
        (("", ""), True, (1, 2)),
    ],
)
def test_what_can_be_merged(snapshots: tuple[str, ...], exported: bool, pair: tuple[int, int] | None) -> None:
    found = chain(*snapshots).mergeable(exported=exported)
    assert (found and tuple(layer.name for layer in found)) == pair


def test_names_are_never_given_twice() -> None:
    found = chain("a")
    for number in range(20):
        before = {layer.name for layer in found.layers}
        found = found.reverted("a")
        assert found.top.name not in before and found.top.name == 3 + number


def test_only_the_newest_snapshot_is_gone_back_to() -> None:
    assert chain("a", "b").reverted("b").snapshots == ("a", "b")
    assert chain("a", "").reverted("a").layers == (Layer(name=1, snapshot="a"), Layer(name=4))
    with pytest.raises(Conflict, match="its newest snapshot, b"):
        chain("a", "b").reverted("a")
    with pytest.raises(NotFound):
        chain("a", "b").reverted("c")


def test_layers_are_bounded() -> None:
    full = chain(*map(str, range(LAYERS_MAX - 1)))
    with pytest.raises(Conflict, match="detach"):
        full.with_snapshot("one more")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 3), st.integers(0, 4)),
        st.tuples(st.just("snapshot"), st.just(0), st.just(0)),
        st.tuples(st.just("delete"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("revert"), st.just(0), st.just(0)),
        st.tuples(st.just("merge"), st.integers(0, 1), st.integers(0, 2)),
    ),
    max_size=40,
)


@given(STEPS)
def test_volume_and_snapshots_read_the_same_whatever_is_merged_and_cut_off(steps: list[tuple[str, int, int]]) -> None:
    volume = SimulatedVolume(VolumePlan(volume=VOLUME, size_bytes=GIB), {})
    now: Blocks = {}
    kept: dict[str, Blocks] = {}
    for number, (step, first, second) in enumerate(steps):
        snapshots = volume.chain.snapshots
        if step == "write":
            volume.blocks[volume.chain.top.name][first] = now[first] = bytes([second]).strip(b"\0")
        elif step == "snapshot":
            volume.follow(volume.chain.with_snapshot(str(number)))
            kept[str(number)] = dict(now)
        elif step == "delete" and snapshots:
            gone = snapshots[first % len(snapshots)]
            volume.follow(volume.chain.without_snapshot(gone))
            del kept[gone]
        elif step == "revert" and snapshots:
            volume.follow(volume.chain.reverted(snapshots[-1]))
            now = dict(kept[snapshots[-1]])
        elif step == "merge" and (pair := volume.chain.mergeable(exported=bool(first))):
            lower, upper = pair
            held = sorted(volume.blocks[upper.name].items())
            volume.blocks[lower.name] |= dict(held[:second])  # cut off: written in part, and not written down
            check(volume, now, kept)
            volume.merge(exported=bool(first))
        check(volume, now, kept)


def check(volume: SimulatedVolume, now: Blocks, kept: dict[str, Blocks]) -> None:
    assert volume.now() == {block: content for block, content in sorted(now.items()) if content}
    assert set(volume.chain.snapshots) == kept.keys()
    for snapshot, blocks in kept.items():
        seen = volume.seen(volume.chain.up_to(snapshot))
        assert seen == {block: content for block, content in sorted(blocks.items()) if content}
