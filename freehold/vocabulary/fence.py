"""A host that is taken for dead on somebody's word, and what its guests are moved by."""

from freehold.vocabulary.envelope import Position
from freehold.vocabulary.guest import Labels
from freehold.vocabulary.network import NetworkWanted, Ties
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Message, Word

EVIDENCE_LETTERS_MAX = 500
HEARD_S = 15.0
"""A host that was heard within so many seconds (three heartbeats) isn't off."""
EVACUATION_DEADLINE_S = 1800.0
"""How long a guest may wait for room elsewhere, and be built there."""


class Fence(Word, frozen=True, kw_only=True):
    """Somebody's word that a machine is off, or cut from network and disks (kind ``fence``, key host/shard), as each
    shard of the registrar keeps it. Until it is lifted the host gets no deed, nobody heeds it, and guests may leave it.
    """

    host: str
    shard: int
    name: str
    user: str
    evidence: str
    time: int
    term: int = 1
    """Counts the host's fences: an order of an earlier one that comes late is refused."""
    forced: bool = False
    """It was heard shortly before."""
    lifted: int = 0
    """Clock time at which it was let in again. 0: the fence stands."""
    lifted_by: str = ""


def fence_key(host: str, shard: int) -> str:
    """Where a shard keeps the fence of a host."""
    return f"{host}/{shard}"


class FenceHost(Message, frozen=True, kw_only=True):
    """Asks a shard to fence a host: nothing changes if it is fenced. Answer: FenceStands.

    `only_look`: nothing is changed at all. `term`: what the look has given; Conflict if the host was let in since.
    Conflict as well while the host is heard, unless `force`, and for one that is retired.
    """

    urn: str
    host: str
    name: str
    user: str
    evidence: str
    force: bool = False
    only_look: bool = False
    term: int = 0


class UnfenceHost(Message, frozen=True, kw_only=True):
    """Asks a shard to let a host in again. It must answer that it knows that it was fenced. Answer: FenceStands.

    `term`: of the fence that is meant; 0: whichever stands. Errors: Conflict if it is another; NoAnswer if the host
    doesn't answer.
    """

    urn: str
    host: str
    name: str
    user: str
    term: int = 0


class FenceStands(Word, frozen=True, kw_only=True):
    """How a host's fence stands in a shard whose store is `store`."""

    store: str
    position: Position
    term: int
    """Of the fence that stands or, if none does, of the next one."""
    stands: bool
    lifted: bool = False
    """It stood until this was asked."""


class Evacuate(Message, frozen=True, kw_only=True):
    """Asks for a guest of a fenced host to be built elsewhere, from its image. Answer: Done with the request's URN.

    What is known of it besides its admission comes along, from the host's backup or from what it last told. Errors:
    NotFound, Conflict (its host isn't fenced, is heard, or doesn't have it; it is being deleted).
    """

    guest: str
    host: str
    term: int
    """Of the fence."""
    user: str
    labels: Labels | None = None
    """As they were last; None: as they were when it was made."""
    networks: tuple[NetworkWanted, ...] | None = None
    """Its ports, if they are known."""
    ties: Ties = Ties()
    image_owner: str = ""
    target: str = ""
    """The only host that it may go to; empty: any."""
    stopped: bool = False
    """It is made, and left off."""
    user_data: Secret | None = None
    admin_password: Secret | None = None
    deadline_s: float = EVACUATION_DEADLINE_S
