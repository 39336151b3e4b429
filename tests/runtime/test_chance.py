"""Chance: the same for the same seed, and never the same from the machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.runtime.chance import Chance, SeededChance, SystemChance, new_id, new_urn
from freehold.vocabulary.ids import URN_PREFIX, is_uuid

BOTH = [SeededChance(1), SystemChance()]


def drawn(seed: int) -> list[object]:
    chance = SeededChance(seed)
    return [chance.bytes(16), chance.uniform(0, 1), new_id(chance), new_urn(chance), chance.bytes(3)]


@given(st.integers(0, 2**64))
def test_the_same_seed_is_the_same_run(seed: int) -> None:
    assert drawn(seed) == drawn(seed)
    assert drawn(seed) != drawn(seed + 1)


def test_nobody_elses_draws_change_a_seeded_run() -> None:
    import random

    one, other = SeededChance(3), SeededChance(3)
    first = one.bytes(8)
    random.seed(0)
    other.bytes(8)
    SeededChance(9).bytes(8)
    assert one.bytes(8) == other.bytes(8) != first


@pytest.mark.parametrize("chance", BOTH, ids=["seeded", "system"])
def test_as_many_bytes_as_asked_and_numbers_within_bounds(chance: Chance) -> None:
    assert [len(chance.bytes(count)) for count in (0, 1, 16, 1000)] == [0, 1, 16, 1000]
    numbers = [chance.uniform(0.8, 1.2) for _ in range(200)]
    assert min(numbers) >= 0.8 and max(numbers) <= 1.2 and len(set(numbers)) > 100


@pytest.mark.parametrize("chance", BOTH, ids=["seeded", "system"])
def test_no_two_ids_are_one(chance: Chance) -> None:
    ids = {new_id(chance) for _ in range(200)}
    assert len(ids) == 200 and all(map(is_uuid, ids))
    assert is_uuid(new_urn(chance).removeprefix(URN_PREFIX))
