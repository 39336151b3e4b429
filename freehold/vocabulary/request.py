"""Requests: the message that grows on its way to a host, and the ledger that sends it again."""

from enum import StrEnum

from freehold.vocabulary.aggregate import Aggregate, AggregateHost
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.fence import Evacuate, FenceHost, UnfenceHost
from freehold.vocabulary.guest import GuestSpec, Labels
from freehold.vocabulary.host import RetireHost
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.network import NetworkWanted, PortWiring, Ties
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import (
    ApplicationCredential,
    Assignment,
    Flavor,
    KeyPair,
    Project,
    Quota,
    Role,
    ServerGroup,
    User,
    VolumeType,
)
from freehold.vocabulary.token import Revoke, SignIn, SignInAgain, SignInByCredential
from freehold.vocabulary.units import unix_ms
from freehold.vocabulary.volume_request import AdmitVolume, DeleteVolume, ExtendVolume
from freehold.vocabulary.word import Message, Word

BUILD_DEADLINE_S = 600.0
"""How long a build may take before its request fails, unless the client says otherwise."""


FORGOTTEN_S = 24 * 3600
"""How long after its deadline a build is still worked on by a stage that gets it.

Only the registrar keeps the deadline, on one clock that can't jump: a stage whose clock is an hour wrong must not drop
what is in time. What comes a day late is no late message any more.
"""


class Build(Word, frozen=True, kw_only=True):
    """The one message of building a guest. The registrar starts it; each stage fills in its part and sends it on.

    API and registrar: everything down to `refused`; image worker: `image`; scheduler: `deed`; network worker: `ports`.
    Stages answer a repeat of (urn, attempt) with the decision they have recorded.
    """

    urn: str
    attempt: int = 1
    guest: str
    project: str
    user: str
    created: int
    expires: int
    """Clock time of the registrar at which its request fails. Others only ask `is_forgotten`."""
    hostname: str
    labels: Labels
    spec: GuestSpec
    networks: tuple[NetworkWanted, ...] = ()
    ties: Ties = Ties()
    image_owner: str = ""
    """The store of the image worker that has the image: the API knows it from its view."""
    user_data: Secret | None = None
    admin_password: Secret | None = None
    refused: tuple[str, ...] = ()
    """Hosts that have refused it."""
    image: ImageOffer | None = None
    deed: Deed | None = None
    ports: tuple[PortWiring, ...] = ()
    restore: bool = False
    """The guest was built before, and its host's records of it were lost: nothing is made, what is there is taken up.
    """
    number: int = 0
    """The deed that it is to be placed under, if it has none yet. 0, of an older registrar: one more than refused it.
    """
    action: str = "create"
    """Nova's word for what it is to the guest: ``create``, ``evacuate``."""
    target: str = ""
    """The only host that it may be placed on; empty: any."""
    stopped: bool = False
    """It is made, and left off."""
    incarnation: str = ""
    """Which of its host's incarnations it was sent to by the network worker. Empty, of an older one: it didn't say."""
    rest: bytes = b""
    """See `unknown`."""


def is_forgotten(build: Build, now: int) -> bool:
    """Whether a build comes so late that no delay and no wrong clock explains it."""
    return unix_ms(build.expires) + FORGOTTEN_S * 1000 <= unix_ms(now)


class Stage(StrEnum):
    """How far a request is known to have come."""

    ADMITTED = "admitted"
    SCHEDULED = "scheduled"
    ADDRESSED = "addressed"
    BUILDING = "building"
    ACTIVE = "active"
    FAILED = "failed"
    DELETING = "deleting"


class Admission(Word, frozen=True, kw_only=True):
    """A guest as the registrar knows it from the 202 to the host's tombstone (kind ``admission``, key the guest's id).

    The API shows a guest as its admission joined with the host's record under the highest deed. Quota is the sum
    over admissions.
    """

    guest: str
    project: str
    user: str
    urn: str
    created: int
    hostname: str
    labels: Labels
    spec: GuestSpec
    networks: tuple[NetworkWanted, ...] = ()
    stage: Stage = Stage.ADMITTED
    deed: Deed | None = None
    """The highest."""
    attempts: int = 1
    refused: tuple[Fault, ...] = ()
    """Why each attempt was refused."""
    refused_hosts: tuple[str, ...] = ()
    refused_deed: int = 0
    """The highest deed that its host has refused on disk: nobody can build it any more."""
    fault: Fault | None = None
    lost: bool = False
    """Its host has no record of it any more: it is sent there again until it has."""
    delete_urn: str = ""
    """Set when a delete has been taken: an intent that stays until the host's tombstone."""
    moving: str = ""
    """The request by which it is to leave its host, which is fenced; until the next deed it hasn't."""
    left: tuple[str, ...] = ()
    """The hosts that it has left so, the last one last: each may still have an old copy of it."""
    made_urn: str = ""
    """The request that made it, if `urn` is a later one."""
    updated: int = 0

    def live_deed(self) -> Deed | None:
        """The highest deed, if its host hasn't refused it on disk: that host may have, or may yet build, the guest."""
        return self.deed if self.deed is not None and self.refused_deed < self.deed.number else None


class Request(Word, frozen=True, kw_only=True):
    """A line of the ledger (kind ``request``, key the URN): something asked that has a deadline and is sent again
    until it ends.
    """

    urn: str
    project: str
    user: str
    action: str
    guest: str
    created: int
    expires: int
    stages: tuple[tuple[str, int], ...] = ()
    """(stage, clock time), in order."""
    finished: int | None = None
    fault: Fault | None = None


class Idempotency(Word, frozen=True, kw_only=True):
    """What a client's key was used for (kind ``idempotency``, private; key project/key)."""

    body_digest: str
    guests: tuple[str, ...]
    urn: str


class Admit(Message, frozen=True, kw_only=True):
    """Asks for guests: one for each of `builds` (ids, URNs, times and deadlines are the registrar's; empty here).

    Quota, idempotency key, URN and id in one transaction. Errors: QuotaExceeded, Conflict (key used with another body).
    Answer: Admitted.
    """

    builds: tuple[Build, ...]
    idempotency_key: str = ""
    body_digest: str = ""
    deadline_s: float = BUILD_DEADLINE_S


class Admitted(Word, frozen=True, kw_only=True):
    """The request is durable. `again`: an earlier request with the same key is meant. `room`: how many more builds the
    registrar takes, before some of those that wait have found hosts.
    """

    urn: str
    guests: tuple[str, ...]
    store: str
    position: Position
    again: bool = False
    room: int = 2**31 - 1


class RecordDeed(Message, frozen=True, kw_only=True):
    """Asks to record who may run a guest, first-wins for (guest, number). Conflict if the guest was deleted or has
    ended; and if the policy of its server group forbids the host, with the hosts of the other members as `names`.

    Answer: the Deed that holds for that number, which may name another host.
    """

    deed: Deed


class GiveUp(Message, frozen=True, kw_only=True):
    """A stage says that a build can't succeed anywhere (no room, image gone, address taken). Answer: Done."""

    urn: str
    guest: str
    deed: int
    """The deed it was worked on under; 0: none yet. One older than the ledger's is out of date, and ignored."""
    fault: Fault


class DeleteGuest(Message, frozen=True, kw_only=True):
    """Records that a guest is to go, and carries it to its host until the host's tombstone is seen. Errors: NotFound.

    `project` empty: an admin asks. `cancelled`: the URN of its making, which must not have ended; else Conflict.
    Answer: Done with the delete's URN as key.
    """

    guest: str
    project: str
    user: str
    cancelled: str = ""


class Intents(Message, frozen=True, kw_only=True):
    """A host asks, before it starts any guest, what was decided about its guests meanwhile. Answer: IntentList."""

    host: str
    guests: tuple[str, ...]


class Intent(Word, frozen=True, kw_only=True):
    """What the registrar knows of a guest that a host asked about. `deed` None: it knows no such guest."""

    guest: str
    deed: Deed | None = None
    delete_urn: str = ""
    refused_deed: int = 0
    """The highest deed that its host has refused on disk."""
    has_run: bool = False
    """Its host had said that it runs: a host whose record says less was put back to an old copy."""
    failed: bool = False
    """Its request has failed for good: a build of it that comes late isn't taken any more."""
    left: bool = False
    """It has left the host that asks, which was fenced, and hasn't been seen there since: what that has of it without a
    record may be an old copy. Where no host asks: it has left one, and its addresses are its own until it is deleted.
    """
    ended: bool = False
    """It was deleted, and its host had said that nothing is left of it: a host that has it was put back to an old copy.
    """


class IntentList(Word, frozen=True, kw_only=True):
    """Answer to Intents, in the order asked. `fenced`: the host that asks is, and may start nothing."""

    intents: tuple[Intent, ...]
    fenced: bool = False
    read: Position | None = None
    """How far the registrar had read the host that asks: what it says rests on that. None, of an older release: it
    doesn't say.
    """


class DeedsOf(Message, frozen=True, kw_only=True):
    """A host asks, when it starts, which guests it may hold: its disk may have been put back to an old copy.

    `after`: the last guest of the page before. Answer: DeedPage.
    """

    host: str
    after: str = ""


class DeedPage(Word, frozen=True, kw_only=True):
    """Answer to DeedsOf, by guest; `more` if others follow."""

    deeds: tuple[Deed, ...]
    unseen: frozenset[str] = frozenset()
    """Guests among them of which the host has shown nothing so far: their build may still be on its way."""
    more: bool = False


class Lost(Message, frozen=True, kw_only=True):
    """A host says that it has no record of guests that it holds a deed for: they are sent to it again. Answer: Done."""

    host: str
    guests: tuple[str, ...]


class CloseProject(Message, frozen=True, kw_only=True):
    """The identity shard is about to delete a project: its own shard admits nothing for it any more, and drops its
    quota and server groups. Errors: Conflict (it still has guests). Answer: Done.
    """

    project: str


TenantRecord = (
    Project
    | User
    | Role
    | Assignment
    | Flavor
    | KeyPair
    | ServerGroup
    | Quota
    | ApplicationCredential
    | Aggregate
    | AggregateHost
    | VolumeType
)


class SaveTenant(Message, frozen=True, kw_only=True):
    """Makes (`new`) or replaces a record that belongs to no host. `record` is the record encoded, `kind` its kind.

    Errors: Conflict (id or name taken, in use), NotFound, BadRequest. `secret`: a user's password or a credential's
    secret to be
    hashed and kept as a private row. Answer: Done.
    """

    kind: str
    key: str
    record: bytes
    new: bool = False
    secret: Secret | None = None


class ChangePassword(Message, frozen=True, kw_only=True):
    """A user's own change. Unauthorized if `old` is wrong. Answer: Done."""

    user: str
    old: Secret
    new: Secret


class DropTenant(Message, frozen=True, kw_only=True):
    """Deletes a record that belongs to no host, with what hangs on it (a user's credentials and roles, a project's
    roles).

    Errors: NotFound, Conflict (a project or flavor still in use says by what). Answer: Done.
    """

    kind: str
    key: str


SchedulerNotice = RecordDeed | GiveUp
"""What a scheduler asks a shard of the registrar."""
NetworkNotice = GiveUp | Intents
"""What a network worker asks it."""
VolumeNotice = Intents
"""What a volume worker asks it."""
HostNotice = Intents | DeedsOf | Lost
"""What a host asks it, about itself."""
LedgerNotice = SchedulerNotice | NetworkNotice | HostNotice
RegistrarQuestion = (
    Admit
    | DeleteGuest
    | CloseProject
    | RetireHost
    | FenceHost
    | UnfenceHost
    | Evacuate
    | SignIn
    | SignInByCredential
    | SignInAgain
    | Revoke
    | SaveTenant
    | ChangePassword
    | DropTenant
    | AdmitVolume
    | DeleteVolume
    | ExtendVolume
)
"""What the API asks it; and CloseProject, one shard another."""
