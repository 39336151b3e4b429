"""Where a reader of a project's events stands, as a text that every API process understands. Pure.

Events come from many owners' logs, and there is no order among them but each log's own. So a reader stands at one place
in each log that can tell it something: the registrar's shard of its project, the hosts that its guests were given to,
the network and image workers. Of a host that isn't named nothing has been told, and it is given a guest by an entry of
the registrar's log that comes after the reader's place there, or never.

    text       version(1) 'owed' count(1) marks…
    mark       digest of project, store and epoch (5 bytes), sequence (base 128)

An owner that has begun another epoch isn't found by its digest: what was told then can't be gone on from. `owed` are
entries before the reader's place that it hasn't been given, because the ledger had not yet said that they were to be.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

VERSION: Final = 1
MARK_BYTES: Final = 5
TEXT_BYTES_MAX: Final = 4096
"""What fits into a header of every proxy."""
OWED_MAX: Final = 16
SEQ_BYTES_MAX: Final = 9

FULL: Final = "many"
"""The text of a place in more logs than fit, or with more owed: who comes back is given the complete state."""


class Place(NamedTuple):
    """A place in an owner's log."""

    store: str
    epoch: str
    seq: int


class Unknown(Exception):
    """A text that doesn't lead to a place in known logs: `args[0]` says why, for a person."""


class Cursor:
    """See the module. `seen`: the place in each log by store."""

    def __init__(self, project: str, places: Iterable[Place] = (), owed: Iterable[Place] = ()) -> None:
        self.project = project
        self.seen = {place.store: place for place in places}
        self.owed = set(owed)
        self._marks: dict[tuple[str, str], bytes] = {}

    def move(self, place: Place) -> None:
        """An entry has been given. One that was owed doesn't take the reader back."""
        self.owed.discard(place)
        known = self.seen.get(place.store)
        if known is None or known.epoch != place.epoch or known.seq < place.seq:
            self.seen[place.store] = place

    def owe(self, places: Iterable[Place]) -> None:
        """What may still have to be given: of it, entries before the reader's place are owed, and no others."""
        known = ((place, self.seen.get(place.store)) for place in places)
        self.owed = {place for place, seen in known if seen is not None and place.seq <= seen.seq}

    def text(self) -> str:
        """The place as the id of an event."""
        if len(self.owed) > OWED_MAX:
            return FULL
        parts = [bytes((VERSION, len(self.owed)))]
        parts += [self._mark(place) + _packed(place.seq) for place in (*sorted(self.owed), *self.seen.values())]
        told = base64.urlsafe_b64encode(b"".join(parts)).rstrip(b"=").decode()
        return told if len(told) <= TEXT_BYTES_MAX else FULL

    def _mark(self, place: Place) -> bytes:
        known = self._marks.get(place[:2])
        if known is None:
            known = self._marks[place[:2]] = mark(self.project, place.store, place.epoch)
        return known


def mark(project: str, store: str, epoch: str) -> bytes:
    """What stands for an epoch of an owner's log in one project's texts."""
    return blake2b(f"{project}\0{store}\0{epoch}".encode(), digest_size=MARK_BYTES).digest()


def read(project: str, text: str, epochs: Mapping[str, str]) -> Cursor:
    """The cursor of a text. `epochs`: of every owner that is known, by store. Raises Unknown."""
    if text == FULL:
        raise Unknown("the project is on more hosts than the id of an event has room for")
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Unknown("this is no id of an event of ours") from error
    if len(text) > TEXT_BYTES_MAX or len(raw) < 2 or raw[0] != VERSION:
        raise Unknown("this is no id of an event of ours")
    known = {mark(project, store, epoch): (store, epoch) for store, epoch in epochs.items()}
    places = list(_places(raw[2:], known))
    if raw[1] > min(len(places), OWED_MAX):
        raise Unknown("this is no id of an event of ours")
    return Cursor(project, places[raw[1] :], places[: raw[1]])


def _places(raw: bytes, known: Mapping[bytes, tuple[str, str]]) -> Iterable[Place]:
    at = 0
    while at < len(raw):
        owner = known.get(raw[at : at + MARK_BYTES])
        if owner is None:
            raise Unknown("an owner of what was told has begun anew, or has left, or isn't known here")
        seq, at = _unpacked(raw, at + MARK_BYTES)
        yield Place(*owner, seq)


def _packed(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))


def _unpacked(raw: bytes, at: int) -> tuple[int, int]:
    number = 0
    for place, byte in enumerate(raw[at : at + SEQ_BYTES_MAX]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise Unknown("this is no id of an event of ours")
