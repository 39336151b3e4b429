"""The short form of the benchmark: that both files have what was written."""

from itertools import islice
from pathlib import Path

from benchmarks import writes
from freehold.store.files import connect


def test_both_files_have_the_same_records(tmp_path: Path) -> None:
    for layout in (writes.store, writes.twice):
        put = layout(tmp_path)
        for entries in islice(writes.groups(1), 2 * writes.TIMES):
            put(entries)
    asked = "SELECT kind, key, seq, value FROM rows ORDER BY kind, key"
    of_store, of_twice = (connect(tmp_path / f"{name}.db").execute(asked).fetchall() for name in ("store", "twice"))
    assert of_store == of_twice and len(of_store) == 2 * writes.AT_ONCE * len(writes.KINDS)


def test_each_round_has_its_figures() -> None:
    figures = writes.measured(writes.AT_ONCE, 2)
    assert [point["records"] for point in figures["curve"]] == [128, 256]
    assert all(point["store_us"] > 0 and point["of_twice"] > 0 for point in figures["curve"])
