"""Hosts as rows, and what a decision looks at as columns: all hosts, a little of each.

Every column and every mask is made once, and twice as large when the hosts outgrow it: a decision allocates nothing
that grows with the fleet. The score of a host is kept as its room changes, and is 0 while it may not be given guests.
So choosing is a comparison for each thing asked for, and one search for the highest score: that of the best host of
all. Which of several equally good ones it is, is left to chance: schedulers that know the same don't all choose the
same.

Requests for the same are decided in one pass (`best_of`). As a score is a sum of what is free, each guest changes its
host's score by the same amount, and what one decision after the other would give can be counted instead of tried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from freehold.views.qualities import Passes, Qualities
from freehold.vocabulary.choice import Filter, Need
from freehold.vocabulary.host import Capacity

FIRST_ROWS: Final = 64
LOOKED_AT: Final = 1000
"""Rows that are looked at to guess from which score on there are enough for many requests."""
MIDDLE: Final = 1 << 30
SCORE_MAX: Final = (1 << 31) - 1

Scores = npt.NDArray[np.int32]
Rows = npt.NDArray[np.intp]
Times = npt.NDArray[np.float64]
Chance = Callable[[int], int]
"""A number from 0 to one less than what it is given."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What makes a host good: so much for each vCPU, MiB of memory and GiB of disk that it has free.

    Above zero guests are spread, below zero they are packed. The sum is to stay within 2^30 either way; beyond that
    hosts are equally good.
    """

    vcpus: int = 0
    ram_mib: int = 0
    disk_gib: int = 0

    def of(self, free: Capacity) -> int:
        """The score of a host with so much free; above zero."""
        told = self.vcpus * free.vcpus + self.ram_mib * free.ram_mib + self.disk_gib * free.disk_gib
        return min(max(MIDDLE + told, 1), SCORE_MAX)

    def of_many(self, free: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of hosts with so many vCPUs, MiB and GiB free, a column each."""
        told = self.vcpus * free[0] + self.ram_mib * free[1] + self.disk_gib * free[2]
        clipped: npt.NDArray[np.int64] = np.clip(MIDDLE + told, 1, SCORE_MAX)
        return clipped


SPREAD: Final = Weights(ram_mib=1)
"""The host with the most free memory."""
PACK: Final = Weights(ram_mib=-1)
"""The host with the least free memory that the guest fits into: large guests find room."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a host is to have. `cluster`: which it is to be of; empty: any. `refused`: rows that it isn't to be.
    `silent`: whether or not it was heard lately. `needs`: what it is to be and to have besides.
    """

    room: Capacity
    cluster: str = ""
    refused: Sequence[int] = ()
    silent: bool = False
    needs: Sequence[Need] = ()


class Columns:
    """Rows are numbered from 0 in the order in which they are added, and none is taken away. Times are monotonic
    seconds.
    """

    def __init__(self, weights: Weights = SPREAD) -> None:
        self.weights = weights
        self.count = 0
        self._room = np.zeros((3, FIRST_ROWS), np.int32)
        """vCPUs, MiB of memory, GiB of disk; below zero where more was promised than there is."""
        self._score = np.zeros(FIRST_ROWS, np.int32)
        """Above zero: so a mask times the scores leaves those of what fits (100,000 in 45 us; numpy has nothing
        faster for it: ``copyto(…, where=…)`` takes 600).
        """
        self._live = np.zeros(FIRST_ROWS, np.int32)
        """The scores of the usable rows, and 0 for the others."""
        self._cluster = np.zeros(FIRST_ROWS, np.int32)
        self._open = np.zeros(FIRST_ROWS, bool)
        self._heard_until = np.zeros(FIRST_ROWS)
        self._usable = np.zeros(FIRST_ROWS, bool)
        """Open, and heard lately."""
        self._fits, self._more = np.zeros(FIRST_ROWS, bool), np.zeros(FIRST_ROWS, bool)
        self._marks = np.zeros(FIRST_ROWS, np.int32)
        self._qualities = Qualities(FIRST_ROWS)
        self._silent_from = np.inf
        """No usable row falls silent before this time."""
        self._clusters: dict[str, int] = {}

    # --- what is known of a host

    def add(self) -> int:
        """A new row, which isn't open."""
        if self.count == len(self._open):
            self._grow()
        self.count += 1
        return self.count - 1

    def put(self, row: int, free: Capacity, cluster: str, *, is_open: bool) -> None:
        """What a host has free, and whether it may be given guests."""
        self._room[:, row] = free.vcpus, free.ram_mib, free.disk_gib
        self._score[row] = self.weights.of(free)
        self._cluster[row] = self._clusters.setdefault(cluster, len(self._clusters))
        self.set_open(row, is_open)

    def add_many(
        self,
        rows: Sequence[tuple[int, int, int, bool]],
        clusters: Sequence[str],
        until: Times,
        qualities: Sequence[frozenset[str]],
    ) -> None:
        """New rows: vCPUs, MiB and GiB free, and whether it may be given guests; its cluster; until when it is heard,
        of the first so many; what it is and has.
        """
        first, last = self.count, self.count + len(rows)
        while last > len(self._open):
            self._grow()
        self.count = last
        amounts = np.array(rows, np.int64).reshape(-1, 4).T
        self._room[:, first:last] = amounts[:3]
        self._score[first:last] = self.weights.of_many(amounts[:3])
        self._cluster[first:last] = [self._clusters.setdefault(name, len(self._clusters)) for name in clusters]
        self._open[first:last] = amounts[3] != 0
        known = until[: len(rows)]
        self._heard_until[first : first + len(known)] = known
        self._qualities.put_many(first, qualities)
        self._silent_from = -np.inf

    def set_qualities(self, row: int, names: frozenset[str]) -> None:
        """What a host is and has besides room."""
        self._qualities.put(row, names)

    def take(self, row: int, wanted: Capacity, times: int = 1) -> None:
        """Takes room off a host, or gives it back (`times` below zero)."""
        free = self.free(row)
        left = (
            free.vcpus - times * wanted.vcpus,
            free.ram_mib - times * wanted.ram_mib,
            free.disk_gib - times * wanted.disk_gib,
        )
        self._room[:, row] = left
        self._score[row] = self.weights.of(Capacity(vcpus=left[0], ram_mib=left[1], disk_gib=left[2]))
        self._enliven(row)

    def free(self, row: int) -> Capacity:
        """What a host has free."""
        vcpus, ram_mib, disk_gib = self._room[:, row].tolist()
        return Capacity(vcpus=vcpus, ram_mib=ram_mib, disk_gib=disk_gib)

    def set_open(self, row: int, is_open: bool) -> None:
        """Whether a host may be given guests."""
        self._open[row] = is_open
        self._reckon(row)

    def heard_until(self) -> Times:
        """Until when each host counts as heard."""
        return self._heard_until[: self.count]

    def hear(self, row: int, until: float) -> None:
        """A host counts as heard until then."""
        self._heard_until[row] = until
        self._reckon(row)

    def _reckon(self, row: int) -> None:
        """Whether the row is heard is looked at when the first may have fallen silent."""
        self._usable[row] = self._open[row]
        self._silent_from = min(self._silent_from, float(self._heard_until[row]))
        self._enliven(row)

    def _enliven(self, row: int) -> None:
        self._live[row] = self._score[row] if self._usable[row] else 0

    def _look_who_is_silent(self, now: float) -> None:
        if now < self._silent_from:
            return
        np.greater(self._heard_until, now, out=self._usable)
        np.logical_and(self._usable, self._open, out=self._usable)
        np.multiply(self._score, self._usable, out=self._live)
        self._silent_from = float(self._heard_until.min(where=self._usable, initial=np.inf))

    # --- choosing

    def best(self, wish: Wish, now: float, chance: Chance) -> int | None:
        """The row with the highest score of those that have what is wished; of several one by chance. None if there is
        none.
        """
        marks = self._marked(wish, now)
        if not len(marks):
            return None
        first = int(marks.argmax())
        highest = marks[first]
        if not highest:
            return None
        marks[first] = 0
        if marks[marks.argmax()] != highest:
            return first
        marks[first] = highest
        more = self._more[: self.count]
        np.equal(marks, highest, out=more)
        return _one(np.flatnonzero(more).tolist(), chance)

    def best_among(self, rows: Sequence[int], wish: Wish, now: float, chance: Chance) -> int | None:
        """The same, of a few rows only."""
        self._look_who_is_silent(now)
        usable = self._open if wish.silent else self._usable
        cluster = self._clusters.get(wish.cluster, -1)
        fit = [
            row
            for row in dict.fromkeys(rows)
            if usable[row]
            and row not in wish.refused
            and (not wish.cluster or self._cluster[row] == cluster)
            and self.free(row).fits(wish.room)
            and all(self._qualities.meets(row, need) for need in wish.needs)
        ]
        highest = max((self._score[row] for row in fit), default=0)
        return _one([row for row in fit if self._score[row] == highest], chance)

    def _marked(self, wish: Wish, now: float) -> Scores:
        """The scores of the rows that have what is wished, and 0 for the others. They are the columns' own, and hold
        until the next question.
        """
        self._look_who_is_silent(now)
        count, room = self.count, wish.room
        marks, fits, more = self._marks[:count], self._fits[:count], self._more[:count]
        vcpus, ram_mib, disk_gib = self._room[:, :count]
        np.greater_equal(ram_mib, room.ram_mib, out=fits)
        np.greater_equal(vcpus, room.vcpus, out=more)
        np.logical_and(fits, more, out=fits)
        np.greater_equal(disk_gib, room.disk_gib, out=more)
        np.logical_and(fits, more, out=fits)
        if wish.cluster:
            np.equal(self._cluster[:count], self._clusters.get(wish.cluster, -1), out=more)
            np.logical_and(fits, more, out=fits)
        for need in wish.needs:
            self._qualities.narrow(need, fits)
        if wish.silent:
            np.logical_and(fits, self._open[:count], out=fits)
        if wish.refused:
            fits[list(wish.refused)] = False
        np.multiply((self._score if wish.silent else self._live)[:count], fits, out=marks)
        return marks

    def narrowed(self, wish: Wish, now: float) -> list[tuple[Filter, Rows]]:
        """What each thing that is wished leaves out, of the rows that all before it have left; then, under the last,
        nothing more. For who asks why, not for deciding: it takes its time. `Wish.refused` isn't among them.
        """
        count, room = self.count, wish.room
        vcpus, ram_mib, disk_gib = self._room[:, :count]
        heard = self._heard_until[:count] > now
        cluster = self._cluster[:count] == self._clusters.get(wish.cluster, -1)
        tests = (
            (Filter.CLOSED, self._open[:count]),
            (Filter.SILENT, heard | wish.silent),
            (Filter.ZONE, cluster | (not wish.cluster)),
            *((need.filter, self._meeting(need)) for need in wish.needs),
            (Filter.VCPUS, vcpus >= room.vcpus),
            (Filter.MEMORY, ram_mib >= room.ram_mib),
            (Filter.DISK, disk_gib >= room.disk_gib),
        )
        left, found = np.ones(count, bool), list[tuple[Filter, Rows]]()
        for name, passes in tests:
            found.append((name, np.flatnonzero(left & ~passes)))
            left &= passes
        return found

    def lacking(self, need: Need) -> Rows:
        """The rows that don't meet a need. It takes its time as well."""
        return np.flatnonzero(~self._meeting(need))

    def _meeting(self, need: Need) -> Passes:
        passes = np.ones(self.count, bool)
        self._qualities.narrow(need, passes)
        return passes

    def in_order(self, rows: Sequence[int]) -> list[int]:
        """The same rows, the best first."""
        return sorted(rows, key=lambda row: -int(self._score[row]))

    def best_of(self, wish: Wish, count: int, now: float, chance: Chance) -> Rows:
        """The rows of `count` guests that want the same, as one decision after the other would have them, each taking
        its room; fewer if not all fit. Nothing is taken. The order is nobody's.
        """
        rows = self._candidates(self._marked(wish, now), count)
        if not len(rows):
            return rows
        rows = np.roll(rows, chance(len(rows)))  # of equally good hosts any may be the last to get one
        if len(rows) > count:  # what isn't among the first `count` gets none
            rows = rows[np.argpartition(-self._score[rows], count - 1)[:count]]
        holds, room = np.full(len(rows), count), wish.room
        for column, amount in zip(self._room, (room.vcpus, room.ram_mib, room.disk_gib), strict=True):
            if amount > 0:
                np.minimum(holds, column[rows] // amount, out=holds)
        scores = self._score[rows].astype(np.int64)
        step = self.weights.of(room) - MIDDLE
        given = _spread(scores, holds, step, count) if step > 0 else _packed(scores, holds, count)
        return np.repeat(rows, given)

    def _candidates(self, marks: Scores, count: int) -> Rows:
        """All rows that have a mark, or those from some score on, if they are `count` at least: a few rows are looked
        at to guess it.
        """
        few = np.sort(marks[:: max(1, self.count // LOOKED_AT)])
        wished = 2 * count * len(few) // max(1, self.count) + 4
        if wished < len(few):
            more = self._more[: self.count]
            np.greater_equal(marks, max(1, int(few[-wished])), out=more)
            if np.count_nonzero(more) >= count:
                return np.flatnonzero(more)
        return np.flatnonzero(marks)

    def _grow(self) -> None:
        """Twice the room for rows."""
        self._qualities.grow()
        names = ("room", "score", "live", "cluster", "open", "heard_until", "usable", "fits", "more", "marks")
        for name in names:
            column = getattr(self, f"_{name}")
            setattr(self, f"_{name}", np.concatenate([column, np.zeros_like(column)], axis=-1))


def _one(rows: Sequence[int], chance: Chance) -> int | None:
    if len(rows) < 2:
        return rows[0] if rows else None
    return rows[chance(len(rows))]


def _packed(scores: npt.NDArray[np.int64], holds: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """How many each row gets where a host is no worse for having got one: the best is filled, then the next."""
    order = np.argsort(-scores, kind="stable")
    before = np.concatenate([[0], np.cumsum(holds[order])[:-1]])
    given = np.zeros_like(holds)
    given[order] = np.clip(count - before, 0, holds[order])
    return given


def _spread(
    scores: npt.NDArray[np.int64], holds: npt.NDArray[np.int64], step: int, count: int
) -> npt.NDArray[np.int64]:
    """How many each row gets where a host is worse by `step` for each that it has got: those of all the scores on the
    way down that are the highest `count`. The lowest of these is found by halving.
    """
    if holds.sum() <= count:
        return holds
    # At least `count` are at or above low, fewer at or above high.
    low, high = int(scores.min()) if len(scores) >= count else 0, int(scores.max()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _at_least(scores, holds, step, middle).sum() >= count else (low, middle)
    given = _at_least(scores, holds, step, high)
    last = np.flatnonzero(_at_least(scores, holds, step, low) > given)
    given[last[: count - int(given.sum())]] += 1
    return given


def _at_least(
    scores: npt.NDArray[np.int64], holds: npt.NDArray[np.int64], step: int, score: int
) -> npt.NDArray[np.int64]:
    """How many guests each row takes at this score or a higher one."""
    return np.clip((scores - score) // step + 1, 0, holds)
