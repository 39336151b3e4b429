"""Streams into files."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.drivers.imagestore.receiving import publish, receive
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import Broken, TooLarge
from freehold.vocabulary.units import KIB, MIB


async def packets(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"p" * KIB


async def test_many_small_packets_become_one_file(tmp_path: Path) -> None:
    part, final = tmp_path / "x.part", tmp_path / "x"
    written = await receive(part, packets(3000), 4 * MIB, offload_inline)
    assert not final.exists()
    publish(part, final)
    assert final.read_bytes() == b"p" * written.size_bytes == b"p" * (3000 * KIB)
    assert not part.exists()


async def test_too_much_is_noticed_on_the_way(tmp_path: Path) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"p" * KIB

    with pytest.raises(TooLarge):
        await receive(tmp_path / "x.part", endless(), 10 * KIB, offload_inline)
    assert taken == 11
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_is_not_there_is_a_finished_sentence(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="Look at the disk"):
        await receive(tmp_path / "nowhere" / "x.part", packets(1), MIB, offload_inline)
