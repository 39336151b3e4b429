"""The mapped files (LMDB) that views are kept in. They aren't synced: one that isn't known to be whole, as after a
power cut (another boot id, and not closed cleanly), is thrown away, and its view is built again.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import lmdb

from freehold.runtime.log import logger
from freehold.views.layout import bounded, forward

MAP_BYTES: Final = 64 * 1024**3

_log = logger("views")
Table = Any  # py-lmdb's handle of a table has no public type


class MappedFile:
    """A folder with the file. `layout`: of another one it is built again. One process has it open."""

    def __init__(self, path: Path, boot: str, layout: bytes, tables: Sequence[str]) -> None:
        self._path, self._boot, self._layout, self._names = path, boot.encode(), layout, tables
        self.tables: dict[str, Table] = {}
        self.env = self._open()

    def _open(self) -> lmdb.Environment:
        try:
            env = self._opened()
            with env.begin() as txn:
                known = txn.get(b"layout", db=self._meta)
                whole = txn.get(b"boot", db=self._meta) == self._boot or txn.get(b"clean", db=self._meta) == b"1"
            if known is not None and (known != self._layout or not whole):
                env.close()
                _log.info("the view isn't known to be whole and is built again", path=str(self._path))
                shutil.rmtree(self._path)
                env = self._opened()
        except lmdb.Error as error:
            _log.warning("the view is damaged and is built again", path=str(self._path), error=str(error))
            shutil.rmtree(self._path, ignore_errors=True)
            env = self._opened()
        with env.begin(write=True) as txn:
            for name, value in ((b"layout", self._layout), (b"boot", self._boot), (b"clean", b"0")):
                txn.put(name, value, db=self._meta)
        env.sync(True)  # before the first write: or a power cut might find that write, and `clean` from before it
        return env

    def _opened(self) -> lmdb.Environment:
        self._path.mkdir(parents=True, exist_ok=True)
        tables = len(self._names) + 1
        env = lmdb.open(
            str(self._path), map_size=MAP_BYTES, max_dbs=tables, sync=False, metasync=False, readahead=False
        )
        self.tables = {name: env.open_db(name.encode()) for name in self._names}
        self._meta = env.open_db(b"meta")
        return env

    def close(self) -> None:
        """Writes everything to disk and marks the file as whole."""
        self.env.sync(True)
        with self.env.begin(write=True) as txn:
            txn.put(b"clean", b"1", db=self._meta)
        self.env.sync(True)
        self.env.close()

    def abandon(self) -> None:
        """Lets go of the file without a word, as the end of a killed process does."""
        self.env.close()


class Kept:
    """Tables of a mapped file, in one transaction that stays open: what is written can be read at once, and is in the
    file from the next `keep` on, all of it together. No key is empty.
    """

    def __init__(self, path: Path, boot: str, layout: bytes, tables: Sequence[str]) -> None:
        self._file = MappedFile(path, boot, layout, tables)
        self._tables = self._file.tables
        self._txn = self._file.env.begin(write=True)

    def get(self, table: str, key: str) -> bytes | None:
        """A value; None if there is none."""
        found = self._txn.get(bounded(key), db=self._tables[table]) if key else None
        return None if found is None else bytes(found)

    def put(self, table: str, key: str, value: bytes = b"") -> None:
        """Sets a value."""
        self._txn.put(bounded(key), value, db=self._tables[table])

    def drop(self, table: str, key: str) -> None:
        """Removes a value, if it is there."""
        self._txn.delete(bounded(key), db=self._tables[table])

    def under(self, table: str, prefix: str = "", after: str = "") -> Iterator[tuple[str, bytes]]:
        """What stands under the keys that begin with `prefix`, by the rest of the key; of these, where a prefix is
        given, those after `after`.
        """
        raw = prefix.encode()
        if not raw:
            yield from ((key.decode(), value) for key, value in self._txn.cursor(db=self._tables[table]))
            return
        for key, value in forward(self._txn.cursor(db=self._tables[table]), raw, bounded(prefix + after)):
            yield key[len(raw) :].decode(), value

    def keep(self) -> None:
        """Has the file hold what was written."""
        self._txn.commit()
        self._txn = self._file.env.begin(write=True)

    def close(self) -> None:
        """Keeps what was written, and marks the file as whole."""
        self._txn.commit()
        self._file.close()

    def abandon(self) -> None:
        """Lets go of the file; what wasn't kept is lost."""
        self._txn.abort()
        self._file.abandon()
