"""Room: what is left, and what fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.vocabulary.host import NOTHING, Capacity, needed_by
from freehold.vocabulary.tenant import Flavor
from tests.owners import a_host

AMOUNT = st.integers(0, 2**40)
CAPACITY = st.builds(Capacity, vcpus=AMOUNT, ram_mib=AMOUNT, disk_gib=AMOUNT)


@given(room=CAPACITY, taken=CAPACITY, more=CAPACITY)
def test_what_is_taken_can_be_given_back(room: Capacity, taken: Capacity, more: Capacity) -> None:
    assert room.minus(taken).plus(taken) == room == room.plus(NOTHING)
    assert room.minus(taken).fits(more) == room.fits(taken.plus(more))


@pytest.mark.parametrize("lacking", ["vcpus", "ram_mib", "disk_gib"])
def test_a_guest_needs_all_of_it(lacking: str) -> None:
    wanted = {"vcpus": 2, "ram_mib": 2, "disk_gib": 2}
    assert Capacity(**wanted).fits(Capacity(**wanted))
    assert not Capacity(**(wanted | {lacking: 1})).fits(Capacity(**wanted))


def test_what_is_left_of_a_host() -> None:
    used = Capacity(vcpus=1, ram_mib=2, disk_gib=3)
    assert a_host("h", 8, 8, 8, used=used).free() == Capacity(vcpus=7, ram_mib=6, disk_gib=5)


def test_ephemeral_disk_is_disk() -> None:
    flavor = Flavor(id="f", name="f", vcpus=1, ram_mib=2, disk_gib=3, ephemeral_gib=4, swap_mib=512)
    assert needed_by(flavor) == Capacity(vcpus=1, ram_mib=2, disk_gib=7)
