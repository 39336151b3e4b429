"""What owners say about their stores, and what readers ask of them."""

from typing import Final

import msgspec

from freehold.vocabulary.word import Message, Word

FRAME_ENTRIES_MAX: Final = 100
"""Entries in one frame (a NATS message is at most 1 MB by default)."""

PAGE_ENTRIES_MAX: Final = 1000
"""Rows or entries in one answer to a reader that catches up."""

DIGEST_BYTES: Final = 16
NO_DIGEST: Final = bytes(DIGEST_BYTES)


class Position(Word, frozen=True, kw_only=True):
    """Where an owner's log stands. Positions of one epoch are ordered by `seq`; epochs are not ordered."""

    epoch: str
    seq: int = 0
    digest: bytes = NO_DIGEST


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of an owner's log: a whole record put, or a key deleted (`value` None).

    `seq` counts 1, 2, 3 … in commit order without gaps; `digest` chains over everything before; `cause` is the URN
    or the
    signal that led to it ("reconcile", "bootstrap").
    """

    seq: int
    time: int
    kind: str
    key: str
    value: bytes | None
    cause: str
    digest: bytes


class Owner(Word, frozen=True, kw_only=True):
    """Who speaks: the id of a store, the role that owns it and the cluster it belongs to.

    `shard`: which of the registrar's shards it is; 0 for every other role.
    """

    store: str
    role: str
    cluster: str
    shard: int = 0


class Frame(Word, frozen=True, kw_only=True):
    """Up to `FRAME_ENTRIES_MAX` entries of one epoch, next to each other."""

    owner: Owner
    epoch: str
    entries: tuple[Entry, ...]


class BackupLag(Word, frozen=True, kw_only=True):
    """What a restore would lack now: log entries, and for how long the oldest change has waited at most. It would end
    at `seq`.
    """

    seq: int = 0
    entries: int = 0
    seconds: float = 0.0


class Heartbeat(Word, frozen=True, kw_only=True):
    """An owner is alive and its log stands at `position`. `name` is for people."""

    owner: Owner
    position: Position
    time: int
    name: str = ""
    period_s: float = 5.0
    horizon: int = 0
    """The clock time of the oldest state that the owner can still be asked for; 0: all of its past."""
    backup: BackupLag | None = None
    """How far its backup is behind; None where it has none."""


class PassOn(Message, frozen=True, kw_only=True):
    """A host asks a network worker of its cluster to pass its heartbeat on, with those of others. Answer: `Passed`.
    `soon`: readers have come, and wait for it.
    """

    beat: Heartbeat
    soon: bool = False


class Passed(Word, frozen=True, kw_only=True):
    """A heartbeat will be passed on."""


class Beats(Word, frozen=True, kw_only=True):
    """Heartbeats of hosts of a cluster, as they came to a network worker of it."""

    owner: Owner
    """The network worker."""
    beats: tuple[Heartbeat, ...]


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record as it stands, with the sequence of the entry that wrote it."""

    kind: str
    key: str
    seq: int
    value: bytes


class Hello(Word, frozen=True, kw_only=True):
    """A reader has come and wants to know which owners there are. They answer by a heartbeat."""


class Since(Message, frozen=True, kw_only=True):
    """Asks an owner for the entries after `position`. Answer: `Entries`, or `Complete` is needed."""

    position: Position


class Complete(Message, frozen=True, kw_only=True):
    """Asks an owner for its records, in pages: `after` is the last (kind, key) of the page before."""

    after: tuple[str, str] = ("", "")


class Told(Message, frozen=True, kw_only=True):
    """Asks an owner for what its log and rows say of an id (for `freehold story`): keys or causes that contain it."""

    about: str


class Entries(Word, frozen=True, kw_only=True):
    """Answer to `Since`. `complete_needed`: the position is of another epoch, unknown, or older than the horizon.

    `position` is where the owner's durable log stood when it answered; there is more to ask for while the last entry
    is before it.
    """

    position: Position
    entries: tuple[Entry, ...] = ()
    complete_needed: bool = False


class Page(Word, frozen=True, kw_only=True):
    """Answer to `Complete`: `position` is where the log stood when this page was read; `more` if others follow."""

    position: Position
    rows: tuple[Row, ...] = ()
    more: bool = False


class Stands(Message, frozen=True, kw_only=True):
    """Asks an owner where its durable log stands, for reads that must see earlier writes. Answer: `Position`."""


class AsOf(Message, frozen=True, kw_only=True):
    """Asks an owner for its records as they stood at a clock time, or (`at`) at a position; in pages. Answer: `Past`.

    `at`: where the first page stood, so that the others are of the same moment; with an empty epoch: whichever it is.
    """

    time: int = 0
    at: Position | None = None
    kinds: tuple[str, ...] = ()
    """None: all."""
    prefix: str = ""
    """What keys begin with."""
    project: str = ""
    """Leaves out the records of other projects."""
    after: tuple[str, str] = ("", "")


class Past(Word, frozen=True, kw_only=True):
    """Answer to `AsOf`. A second question about the same time is answered alike: nothing is written before it any more.

    `too_old`: the moment lies before `horizon`, the clock time of the oldest state that is known; there are no rows.
    """

    position: Position
    time: int = 0
    """The clock time of the last entry that the state is made of."""
    rows: tuple[Row, ...] = ()
    after: tuple[str, str] = ("", "")
    """What the next page comes after."""
    more: bool = False
    horizon: int = 0
    too_old: bool = False


class Tombstone(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A key that was deleted, with the record as it last was (empty: another project's)."""

    seq: int
    time: int
    key: str
    value: bytes


class DeletedSince(Message, frozen=True, kw_only=True):
    """Asks an owner which records of a kind it has deleted since a clock time, as far back as its log knows; in pages.

    `project` empty: of all. `after`: the sequence of the last one of the page before. Answer: `Tombstones`.
    """

    kind: str
    time: int
    project: str = ""
    after: int = 0


class Tombstones(Word, frozen=True, kw_only=True):
    """Answer to `DeletedSince`, oldest first."""

    deleted: tuple[Tombstone, ...] = ()
    more: bool = False


class Happening(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry, and what stood under its key before it (None: nothing)."""

    entry: Entry
    before: bytes | None


class Happened(Message, frozen=True, kw_only=True):
    """Asks an owner for the entries of some kinds and one project in (`after`, `until`] of an epoch of its log, each
    with what stood before; in pages. Answer: `Happenings`.

    `about`: of one guest alone, under whose id records are kept; as far back as the log knows.
    """

    epoch: str
    after: int
    until: int
    kinds: tuple[str, ...]
    project: str
    about: str = ""


class Happenings(Word, frozen=True, kw_only=True):
    """Answer to `Happened`, in order. `after`: the sequence that the next page comes after. `lost`: it isn't known any
    more, or the epoch is over; there are no entries.
    """

    found: tuple[Happening, ...] = ()
    after: int = 0
    more: bool = False
    lost: bool = False


OwnerQuestion = Since | Complete | Told | Stands | AsOf | DeletedSince | Happened


class Done(Word, frozen=True, kw_only=True):
    """The plain answer to a change: it is durable at `position` of `store`; `key` is what was made or changed."""

    store: str
    position: Position
    key: str = ""
