"""Sending something to a URL that somebody else has given.

Promises of every member, checked by `tests/contract/test_delivery.py`:

- One `send` is one request. It ends within `DEADLINE_S` once it was begun, and gives what came of it; it doesn't
  raise.
- Nothing is sent to an address that isn't a receiver's (`receiver.inside`), unless the operator has allowed its
  network: not by a literal address, a name that stands for one, a name that changes what it stands for, or a redirect.
  A redirect is an answer like others, and isn't followed.
- At most `ANSWER_BYTES_MAX` of an answer are read.
- Of one lane (a project) at most `LANE_AT_ONCE_MAX` are under way, for one host at most `HOST_AT_ONCE_MAX`: those past
  it wait, and only they. What is `doubtful` has bounds of its own beside these, so that the dead don't take the room of
  the living, not even of their own project.
"""

from typing import Final, Literal, NamedTuple, Protocol

DEADLINE_S: Final = 15.0
CONNECT_S_MAX: Final = 5.0
ANSWER_BYTES_MAX: Final = 4096
BODY_BYTES_MAX: Final = 1024 * 1024
LANE_AT_ONCE_MAX: Final = 32
HOST_AT_ONCE_MAX: Final = 32
AT_ONCE_MAX: Final = 512
DOUBTFUL_OF_LANE_MAX: Final = 8
DOUBTFUL_AT_ONCE_MAX: Final = 128


class Outgoing(NamedTuple):
    """What is sent."""

    url: str
    method: Literal["GET", "POST"] = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    lane: str = ""
    """For whom: those of one lane share what is theirs."""
    doubtful: bool = False
    """The receiver failed the last time, or hasn't taken anything yet."""


class Answered(NamedTuple):
    """What the receiver said."""

    status: int
    body: bytes = b""
    """Its beginning."""
    location: str = ""
    retry_after: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it."""
        return 200 <= self.status < 300


class Failed(NamedTuple):
    """There is no answer. `forbidden`: nothing was sent, for the address is no receiver's."""

    reason: str
    forbidden: bool = False


Outcome = Answered | Failed


class Delivery(Protocol):
    """See the module."""

    def refused(self, url: str) -> str:
        """Why nothing will ever be sent to a URL, as far as that is known without resolving; empty if it may be."""

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Sends it."""

    async def close(self) -> None:
        """Lets go of connections."""
