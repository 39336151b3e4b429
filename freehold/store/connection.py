"""What the store uses of SQLite: of a file of its own, or of what is its in a file of many stores (`together`)."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Connection(Protocol):
    """What is used of a connection to SQLite. Transactions are begun and ended by hand."""

    @property
    def in_transaction(self) -> bool:
        """Whether one is begun and hasn't ended."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> sqlite3.Cursor:
        """One statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:
        """One statement, for each of several sets of parameters."""

    def executescript(self, script: str, /) -> object:
        """Several statements."""

    def close(self) -> None:
        """No more of them."""
