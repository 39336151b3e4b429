"""The short form of the benchmark: that each store has its figures."""

from benchmarks import image_stores


async def test_each_store_is_written_and_read() -> None:
    figures = await image_stores.measured(2, 1)
    assert set(figures["stores"]) == set(image_stores.STORES)
    for name, ways in figures["stores"].items():
        assert set(ways) == ({"read"} if name == "web" else {"write", "read"})
        assert all(way["mb_per_s"] > 0 and way["of_own"] > 0 for way in ways.values())
