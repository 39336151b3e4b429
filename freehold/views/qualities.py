"""What hosts are and have, by names, as bits: a column for each 32 names, made once and grown with the hosts.

A name gets a bit when the first host has it, and the bit is free for another name when the last host hasn't it any
more. What a decision needs of them is a comparison for each 32 names that it asks for.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from freehold.vocabulary.choice import Need
from freehold.vocabulary.trait import is_trait

WORD_BITS: Final = 32
NAMES_MAX: Final = 4096
"""Past so many names, traits that no host has had yet aren't taken in: hosts that make them up without end fill no
memory.
"""
_WORD: Final = (1 << WORD_BITS) - 1
_NOTHING: Final = frozenset[str]()

Passes = npt.NDArray[np.bool_]


class Qualities:
    """Rows are numbered as those of the hosts' other columns. `rows`: how many there is room for."""

    def __init__(self, rows: int) -> None:
        self._columns = np.zeros((1, rows), np.uint32)
        self._masked = np.zeros(rows, np.uint32)
        self._passes, self._more = np.zeros(rows, bool), np.zeros(rows, bool)
        self._given = [_NOTHING] * rows
        """What each row was given."""
        self._masks: dict[frozenset[str], int] = {_NOTHING: 0}
        """The bits of what rows were given: most hosts are like others."""
        self._rows: dict[frozenset[str], int] = {}
        """How many rows were given the same."""
        self._bits: dict[str, int] = {}
        self._uses: list[int] = []
        """By bit: how many of the masks have it. 0: it is free."""
        self._free: list[int] = []

    def grow(self) -> None:
        """Twice the room for rows."""
        for name in ("columns", "masked", "passes", "more"):
            column = getattr(self, f"_{name}")
            setattr(self, f"_{name}", np.concatenate([column, np.zeros_like(column)], axis=-1))
        self._given += [_NOTHING] * len(self._given)

    def put(self, row: int, names: frozenset[str]) -> None:
        """A host's qualities, instead of those that it had."""
        before = self._given[row]
        if before is names or before == names:
            return
        self._given[row] = names
        mask = self._join(names, 1)
        for word in range(len(self._columns)):
            self._columns[word, row] = mask >> (word * WORD_BITS) & _WORD
        self._leave(before)

    def put_many(self, first: int, names: Sequence[frozenset[str]]) -> None:
        """Those of new hosts, from one row on: what many have in common is written for all of them at once."""
        self._given[first : first + len(names)] = names
        alike: dict[frozenset[str], list[int]] = {}
        for row, of_row in enumerate(names, first):
            alike.setdefault(of_row, []).append(row)
        for of_rows, rows in alike.items():
            for word, mask in _words(self._join(of_rows, len(rows))):
                self._columns[word, rows] = mask

    def narrow(self, need: Need, fits: Passes) -> None:
        """Leaves of the rows in `fits` those that meet a need."""
        every, none, some, is_possible = self._asked(need)
        if not is_possible:
            fits[:] = False
            return
        passes = self._passes[: len(fits)]
        for word, mask in _words(every):
            np.equal(self._having(word, mask, len(fits)), mask, out=passes)
            np.logical_and(fits, passes, out=fits)
        for word, mask in _words(none):
            np.equal(self._having(word, mask, len(fits)), 0, out=passes)
            np.logical_and(fits, passes, out=fits)
        for one in some:
            self._narrow_to_some(one, fits)

    def meets(self, row: int, need: Need) -> bool:
        """Whether a row meets a need."""
        every, none, some, is_possible = self._asked(need)
        here = self._masks[self._given[row]]
        return is_possible and here & every == every and not here & none and all(here & one for one in some)

    def _narrow_to_some(self, mask: int, fits: Passes) -> None:
        passes, more = self._passes[: len(fits)], self._more[: len(fits)]
        passes[:] = False
        for word, part in _words(mask):
            np.not_equal(self._having(word, part, len(fits)), 0, out=more)
            np.logical_or(passes, more, out=passes)
        np.logical_and(fits, passes, out=fits)

    def _having(self, word: int, mask: np.uint32, count: int) -> npt.NDArray[np.uint32]:
        masked = self._masked[:count]
        np.bitwise_and(self._columns[word, :count], mask, out=masked)
        return masked

    def _asked(self, need: Need) -> tuple[int, int, tuple[int, ...], bool]:
        """Its names as bits, and whether any host can meet it: a name that no host has is no bit."""
        every, none, some = self._mask(need.every), self._mask(need.none), tuple(map(self._mask, need.some))
        return every, none, some, all(name in self._bits for name in need.every) and all(some)

    def _mask(self, names: Iterable[str]) -> int:
        return sum(1 << self._bits[name] for name in names if name in self._bits)

    def _join(self, names: frozenset[str], rows: int) -> int:
        """So many rows more have these names. The bits of them."""
        if names not in self._masks:
            mask = self._masks[names] = sum(1 << bit for bit in self._new_bits(names))
            for bit in _bits(mask):
                self._uses[bit] += 1
        self._rows[names] = self._rows.get(names, 0) + rows
        return self._masks[names]

    def _leave(self, names: frozenset[str]) -> None:
        """A row hasn't these names any more. What no row has lets go of its bits."""
        if not names:
            return
        self._rows[names] -= 1
        if self._rows[names]:
            return
        del self._rows[names]
        gone = set[int]()
        for bit in _bits(self._masks.pop(names)):
            self._uses[bit] -= 1
            if not self._uses[bit]:
                gone.add(bit)
        if gone:
            self._bits = {name: bit for name, bit in self._bits.items() if bit not in gone}
            self._free += gone

    def _new_bits(self, names: Iterable[str]) -> Iterator[int]:
        """The bits of names that rows are about to have."""
        for name in names:
            bit = self._bits.get(name)
            if bit is None and (len(self._bits) < NAMES_MAX or not is_trait(name)):
                bit = self._bits[name] = self._free.pop() if self._free else self._one_more()
            if bit is not None:
                yield bit

    def _one_more(self) -> int:
        self._uses.append(0)
        if len(self._uses) > len(self._columns) * WORD_BITS:
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns[:1])])
        return len(self._uses) - 1


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _words(mask: int) -> Iterator[tuple[int, np.uint32]]:
    """The words of a mask that have any bit."""
    number = 0
    while mask:
        if mask & _WORD:
            yield number, np.uint32(mask & _WORD)
        mask >>= WORD_BITS
        number += 1
