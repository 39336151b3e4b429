"""What the operator of a machine says to the host worker on it, and hears from it, without anybody above."""

from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import ConsoleLog, GuestState, Power, Reboot, Start, Stop
from freehold.vocabulary.host import Drain, Undrain
from freehold.vocabulary.word import Message, Word

GUESTS_PAGE_MAX = 500
"""Guests in one answer."""

URN_BYTES_MAX = 200


class GuestHere(Word, frozen=True, kw_only=True):
    """A guest, as its own machine knows it."""

    id: str
    name: str
    state: GuestState
    power: Power
    """What the hypervisor said a moment ago; after a power cut it can be another than the record's state."""
    project: str
    addresses: tuple[str, ...] = ()
    deed: int
    since: int
    """Clock time of the newest change of its record."""
    working_for: str = ""
    fault: Fault | None = None


class GuestsHere(Message, frozen=True, kw_only=True):
    """Asks for the guests whose ids come behind `after`, in the order of ids, at most a page. Answer: HostHere."""

    after: str = ""


class HostHere(Word, frozen=True, kw_only=True):
    """A host and a page of its guests; the last page has less than `GUESTS_PAGE_MAX`."""

    name: str
    heard: bool
    """Whether the registrar has been heard since the host's process started."""
    guests: tuple[GuestHere, ...] = ()


class GuestAwaited(Message, frozen=True, kw_only=True):
    """Asks for one guest as soon as its record is another than the one of `since`, or after `wait_s` seconds at most.

    Answer: GuestHere. NotFound if the host has no such guest, or hasn't any more.
    """

    guest: str
    since: int = 0
    wait_s: float = 0.0


class LocalOrder(Message, frozen=True, kw_only=True):
    """A command of the machine's operator. Its user and project are the host's to fill in. Answer: GuestHere.

    An order for what is so already, or on its way, changes nothing.
    """

    command: Start | Stop | Reboot
    without_registrar: bool = False
    """Start it though the registrar may have decided otherwise about it, and can't be heard."""


class HostStands(Word, frozen=True, kw_only=True):
    """Answer to Drain and Undrain at the host's own machine. Who asks, and which host it is, the host fills in."""

    name: str
    enabled: bool
    reason: str = ""
    guests: int = 0


LocalQuestion = GuestsHere | GuestAwaited | LocalOrder | ConsoleLog | Drain | Undrain


class LocalAnswer(Word, frozen=True, kw_only=True):
    """The answer's bytes, or what went wrong."""

    body: bytes = b""
    fault: Fault | None = None
