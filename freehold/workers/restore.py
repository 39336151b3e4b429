"""Making a lost store again from its backup, under a new epoch, so that every reader takes its complete state.

Nothing is made unless everything that it needs has been read and found whole.
"""

import os
from functools import partial
from pathlib import Path
from typing import Final

from freehold.drivers.backup.interface import Backups, OtherKey, Plain
from freehold.runtime.tasks import Offload
from freehold.store.backup import Rebuilding, put_in_place
from freehold.store.files import locked
from freehold.store.proof import Proof, proven
from freehold.store.segments import Segment, checksum, decode
from freehold.vocabulary.envelope import Owner, Position
from freehold.vocabulary.errors import Broken, Conflict, FreeholdError, NotFound
from freehold.vocabulary.units import iso_millis
from freehold.vocabulary.word import Word

VERIFY_TRIES: Final = 3


class Found(Word, frozen=True, kw_only=True):
    """The newest whole copy of a store: the segments `base` to `last`. `place` is where its file lay in the folder of
    the state, `time` the clock time of the copy, `note` what a person should know about it.
    """

    owner: Owner
    place: str
    position: Position
    time: int
    base: int
    last: int
    note: str = ""


class Damaged(Word, frozen=True, kw_only=True):
    """A backup that nothing can be restored from, and why. `elsewhere`: another machine's key is needed."""

    store: str
    reason: str
    elsewhere: bool = False


class Moment(Word, frozen=True, kw_only=True):
    """Up to where to restore: a place in the log (of the newest history that has it, or of an epoch), or a clock time.
    What is None doesn't matter.
    """

    seq: int | None = None
    epoch: str = ""
    time: int | None = None

    def has(self, segment: Segment) -> bool:
        """Whether a copy that ends with `segment` is at the moment or before it."""
        position = segment.mark.position
        return (
            (self.seq is None or position.seq <= self.seq)
            and (not self.epoch or position.epoch == self.epoch)
            and (self.time is None or segment.time <= self.time)
        )


NOW: Final = Moment()


async def every(backups: Backups) -> list[Found | Damaged]:
    """What there is of each store."""
    found: list[Found | Damaged] = []
    for store in await backups.stores():
        try:
            found.append(await newest(backups, store))
        except FreeholdError as error:
            elsewhere = isinstance(error, OtherKey)
            found.append(Damaged(store=store, reason=error.message, elsewhere=elsewhere))
    return found


async def only_one_of(backups: Backups, role: str) -> Found:
    """The newest whole copy of the one store of a role. Raises NotFound if there is none, Conflict if there are several
    to choose from, Broken if there is one that may be of that role and is damaged or can't be opened.
    """
    found = await every(backups)
    fitting = [one for one in found if isinstance(one, Found) and one.owner.role == role]
    if len(fitting) > 1:
        stores = ", ".join(f"{one.owner.store} ({one.place})" for one in fitting)
        raise Conflict(f"there are backups of {len(fitting)} stores of the {role}. Say which with --store: {stores}.")
    damaged = [one.reason for one in found if isinstance(one, Damaged)]
    if not fitting and damaged:
        raise Broken(" ".join(damaged))
    if not fitting:
        raise NotFound(f"there is no backup of a store of the {role}.")
    return fitting[0]


async def as_of(backups: Backups, store: str, moment: Moment) -> Found:
    """The newest whole copy of a store at a moment or before it. What was written after it may be damaged. Raises
    NotFound if the backup doesn't reach back so far, Broken if it is damaged there.
    """
    if moment == NOW:
        return await newest(backups, store)
    first: Segment | None = None
    for number in reversed(await backups.numbers(store)):
        try:
            segment = await _segment(backups, store, number)
        except Broken:
            continue
        if segment.whole and moment.has(segment):
            _, whole = await _copy_up_to(backups, store, number)
            assert whole is not None, "it ends with one"
            return _found(whole, "")
        first = segment
    reach = f": it begins at {iso_millis(first.time)}" if first is not None else ""
    raise NotFound(f"the backup of store {store} has no copy of that moment or before it{reach}.")


async def newest(backups: Backups, store: str) -> Found:
    """The newest whole copy of a store. Raises NotFound if there is no backup of it, Broken if it is damaged anywhere
    but in the last segment.
    """
    numbers = await backups.numbers(store)
    if not numbers:
        raise NotFound(f"there is no backup of store {store}.")
    last, note = numbers[-1], ""
    try:
        await _segment(backups, store, last)
    except (OtherKey, Plain):
        raise
    except Broken as error:
        if len(numbers) == 1:
            raise
        last, note = last - 1, f"{error.message} The copy is the one before it; the changes in it are lost. "
    while last >= numbers[0]:
        base, whole = await _copy_up_to(backups, store, last)
        if whole is not None:
            return _found(whole, note)
        note += f"Segments {base} to {last} are of a snapshot that wasn't finished. "
        last = base - 1
    raise Broken(f"the backup of store {store} has no finished snapshot: nothing can be restored from it.")


def _found(whole: Segment, note: str) -> Found:
    return Found(
        owner=whole.owner,
        place=whole.place,
        position=whole.mark.position,
        time=whole.time,
        base=whole.base,
        last=whole.number,
        note=note.rstrip(),
    )


async def _copy_up_to(backups: Backups, store: str, last: int) -> tuple[int, Segment | None]:
    try:
        base = (await _segment(backups, store, last)).base
        return base, await _last_whole(backups, store, base, last)
    except (OtherKey, Plain):
        raise
    except Broken as error:
        advice = "What follows stands on it, so nothing is restored. Bring that file back from a copy of the backup."
        raise Broken(f"{error.message} {advice}") from error


async def _last_whole(backups: Backups, store: str, base: int, last: int) -> Segment | None:
    """Reads the chain from `base` to `last`, and gives the last segment at which a copy is whole."""
    whole: Segment | None = None
    before: Segment | None = None
    sum_before = b""
    for number in range(base, last + 1):
        content = await _content(backups, store, number)
        segment = decode(content, store, number)
        if before is not None and (segment.before, segment.after, segment.base) != (sum_before, before.last(), base):
            raise Broken(f"segment {number} of the backup of store {store} doesn't continue the one before it.")
        before, sum_before = segment, checksum(content)
        if segment.whole:
            whole = segment
    return whole


async def _segment(backups: Backups, store: str, number: int) -> Segment:
    return decode(await _content(backups, store, number), store, number)


async def _content(backups: Backups, store: str, number: int) -> bytes:
    try:
        return await backups.read(store, number)
    except NotFound as error:
        raise Broken(f"segment {number} of the backup of store {store} is missing.") from error


async def restore(
    backups: Backups,
    found: Found,
    target: Path,
    epoch: str,
    offload: Offload,
    replace: bool = False,
    force: bool = False,
) -> Path | None:
    """Makes the store's file at `target`. With `replace`, a store that is there is moved aside: gives where to.

    Raises Conflict while an owner has the backup (unless `force`) or the target open, and if there is a store without
    `replace`.
    """
    store = found.owner.store
    if not force:
        await backups.hold(store)
    await offload(lambda: target.parent.mkdir(parents=True, exist_ok=True, mode=0o700))
    lock = await offload(lambda: locked(target))
    try:
        if not replace and await offload(target.exists):
            raise Conflict(f"there is a store {target} already. Say --replace to have it moved aside.")
        part = target.with_name(target.name + ".restoring")
        await _rebuild(backups, found, part, epoch, offload)
        return await offload(lambda: put_in_place(part, target))
    finally:
        os.close(lock)


async def verify(backups: Backups, store: str, folder: Path, offload: Offload) -> tuple[Found, Proof]:
    """Restores the newest copy of a store into `folder`, looks through what came of it, and takes it away again. The
    owner may go on meanwhile. Raises NotFound, and Broken with what is wrong.
    """
    found, proof, part = await proven_copy(backups, store, folder, offload)
    await offload(part.unlink)
    return found, proof


async def proven_copy(backups: Backups, store: str, folder: Path, offload: Offload) -> tuple[Found, Proof, Path]:
    """The same, and the copy stays: where it is. It is for looking into, never for an owner to go on with."""
    part, tries = folder / f"{store}.db", VERIFY_TRIES
    while True:
        numbers, tries = await backups.numbers(store), tries - 1
        try:
            found = await newest(backups, store)
            await _rebuild(backups, found, part, "verified", offload)
        except Broken:
            if not tries or (await backups.numbers(store))[:1] == numbers[:1]:
                raise  # otherwise older segments were deleted while they were read
        else:
            return found, await offload(lambda: proven(part)), part


async def _rebuild(backups: Backups, found: Found, part: Path, epoch: str, offload: Offload) -> None:
    store = found.owner.store
    making = await offload(lambda: Rebuilding(part, store, epoch))
    try:
        for number in range(found.base, found.last + 1):
            await offload(partial(making.add, await _segment(backups, store, number)))
        await offload(lambda: making.finish(found.position))
    except BaseException:
        await offload(making.discard)
        raise
