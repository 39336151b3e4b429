"""What a change costs a store on its disk, with ever more records in it; and beside it, in a file that has each value
twice.

    python -m benchmarks.writes --records 100000 --rounds 4

Records come as those of boots do: 64 at a time under new ids, each changed four times, a commit for each time. `store`
is what a store does (`freehold/store/writing.py`), `twice` a file whose rows have their own copy of each value, and
whose log has an index over its keys. CPU times are those of this process, the disk's syncs among them.
"""

import argparse
import random
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.record import growth, record
from freehold.store.files import connect, open_files
from freehold.store.writing import Staged, write
from freehold.vocabulary.envelope import Entry

AT_ONCE: Final = 64
TIMES: Final = 4
KINDS: Final = {"admission": 900, "request": 350}
"""Bytes of a record."""

_TWICE: Final = """
CREATE TABLE rows (
    kind TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE log (
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB,
    cause TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE INDEX log_of_key ON log (kind, key, seq);
"""

Write = Callable[[list[Entry]], None]


def groups(seed: int) -> Iterator[list[Entry]]:
    """What is committed at once, for ever."""
    dice, seq = random.Random(seed), 0
    while True:
        keys = [(kind, str(uuid.UUID(int=dice.getrandbits(128)))) for kind in KINDS for _ in range(AT_ONCE)]
        for _ in range(TIMES):
            first, seq = seq + 1, seq + len(keys)
            yield [
                Entry(at, at, kind, key, dice.randbytes(KINDS[kind]), "urn:freehold:request:0", bytes(16))
                for at, (kind, key) in enumerate(keys, first)
            ]


def store(folder: Path) -> Write:
    """Writes as a store does."""
    files = open_files(folder / "store.db", "s", "e")
    return lambda entries: write(files.writer, [Staged(entries, [], 0)])


def twice(folder: Path) -> Write:
    """Writes each value twice."""
    connection = connect(folder / "twice.db")
    connection.executescript(_TWICE)
    return lambda entries: _write_twice(connection, entries)


def _write_twice(connection: sqlite3.Connection, entries: list[Entry]) -> None:
    rows = [(one.kind, one.key, one.seq, one.value) for one in entries]
    log = [(one.seq, one.time, one.kind, one.key, one.value, one.cause, one.digest) for one in entries]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)", log)
    connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def measured(records: int, rounds: int) -> dict[str, Any]:
    """The figures of one run: both, by turns, `rounds` times `records` of each kind."""
    points: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {"store": (store(folder), groups(1)), "twice": (twice(folder), groups(1))}
        for count in range(1, rounds + 1):
            point: dict[str, Any] = {"records": count * records * len(KINDS)}
            for layout, (put, told) in files.items():
                changes, cpu_s = 0, 0.0
                for _ in range(records // AT_ONCE * TIMES):
                    entries = next(told)
                    began_s = time.process_time()
                    put(entries)
                    cpu_s += time.process_time() - began_s
                    changes += len(entries)
                size = sum(path.stat().st_size for path in folder.glob(f"{layout}.db*"))
                point[f"{layout}_us"] = round(cpu_s / changes * 1e6, 2)
                point[f"{layout}_mib"] = round(size / 2**20, 1)
            point["of_twice"] = round(point["store_us"] / point["twice_us"], 3)
            points.append(point)
    sizes = [point["records"] for point in points]
    return {
        "exponent": growth(sizes, [point["store_us"] for point in points]),
        "exponent_of_twice": growth(sizes, [point["twice_us"] for point in points]),
        "curve": points,
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=4)
    asked = parser.parse_args()
    record("writes", measured(asked.records, asked.rounds))


if __name__ == "__main__":
    main()
