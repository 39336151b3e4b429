"""Bugs that are put in on purpose, to show that the simulation would find them. They exist here only.

Each is one line of the project changed: (module, what stands there, what is put in its place). `plant` has the import
system read the changed line; a line that isn't there exactly once is an error, so that the table follows the code.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug. `name` says what is wrong."""

    name: str
    module: str
    stands: str
    instead: str

    def source(self) -> str:
        """The module's source with the bug in it. Raises ValueError unless the line is there exactly once."""
        text = self.path().read_text()
        if text.count(self.stands) != 1:
            raise ValueError(f"{self.name}: {self.stands!r} is {text.count(self.stands)} times in {self.module}")
        return text.replace(self.stands, self.instead)

    def path(self) -> Path:
        """Where the module's source is."""
        return ROOT / (self.module.replace(".", "/") + ".py")


class _Loader(importlib.abc.SourceLoader):
    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def get_filename(self, fullname: str) -> str:
        return str(self._bug.path())

    def get_data(self, path: str | bytes) -> bytes:
        return self._bug.source().encode()

    def path_stats(self, path: str) -> dict[str, int]:
        raise OSError  # never from, and never into, the cache of compiled files


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._bug.module:
            return None
        return importlib.util.spec_from_loader(fullname, _Loader(self._bug))


def plant(bug: Bug) -> None:
    """Has the bug's module imported with the bug in it. Before the module is imported: RuntimeError afterwards."""
    if bug.module in sys.modules:
        raise RuntimeError(f"{bug.module} is imported already")
    sys.meta_path.insert(0, _Finder(bug))
