"""A machine of the cloud, and what it says on a bus that nobody trusts."""

from hashlib import blake2b

from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Message, Word

INVITATION_LIFE_S = 3600.0
"""How long an invitation may be used, unless it says otherwise."""
PASSPORT_LIFE_S = 7 * 24 * 3600.0
"""How long a passport holds. Machines renew theirs when half of it is over."""


class Passport(Word, frozen=True, kw_only=True):
    """Who a machine is: which roles it runs, where, and which stores it speaks for. Vouched for by the authority."""

    machine: str
    """An id that no other machine has, and that isn't given again."""
    name: str
    """For people."""
    roles: tuple[str, ...]
    cluster: str
    stores: tuple[str, ...] = ()
    """The stores that it owns. It speaks for no other."""
    key: bytes
    """Its public key (Ed25519, 32 bytes)."""
    issued_ms: int
    expires_ms: int
    """Unix milliseconds."""


class SealedPassport(Word, frozen=True, kw_only=True):
    """A passport as it travels: its bytes, and the authority's signature over them."""

    passport: bytes
    signature: bytes


class Sealed(Word, frozen=True, kw_only=True):
    """A message as it travels: who says it, once, on which subject (which is signed, and isn't sent again).

    `session` and `number` tell a message from every other of its machine: a session is a process, and in it numbers
    count up.
    """

    by: bytes
    """A SealedPassport."""
    session: bytes
    number: int
    time_ms: int
    body: bytes
    signature: bytes


class EarlierKey(Word, frozen=True, kw_only=True):
    """A key that a machine had before, and when the last passport of it ends (unix ms)."""

    key: bytes
    expires_ms: int


class Machine(Word, frozen=True, kw_only=True):
    """A machine that was let into the cloud (kind ``machine``, key its id), as its newest passport says. Owner: the
    directory.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    cluster: str
    stores: tuple[str, ...] = ()
    key: bytes
    enrolled: int
    """Clock time."""
    expires_ms: int
    """When its passport ends."""
    barred: int = 0
    """Clock time at which it was shut out; 0: it wasn't."""
    earlier: tuple[EarlierKey, ...] = ()
    """Keys of passports that have been renewed and haven't ended."""


class MachineRequest(Word, frozen=True, kw_only=True):
    """What a machine asks a passport with: its new public key, the stores that are its own, and the proof that it has
    the key: a signature over all of it and what it is asked with.
    """

    key: bytes
    stores: tuple[str, ...] = ()
    signature: bytes = b""


class Invite(Message, frozen=True, kw_only=True):
    """Lets a machine in that isn't known yet: whoever shows the invitation. Conflict if another has the name. Answer:
    Invited.
    """

    name: str
    roles: tuple[str, ...]
    cluster: str
    life_s: float = INVITATION_LIFE_S


class Invited(Word, frozen=True, kw_only=True):
    """An invitation, which serves one machine. `authority`: the public key that vouches for this cloud's machines."""

    id: str
    secret: Secret
    authority: bytes
    expires_ms: int


class Enroll(Message, frozen=True, kw_only=True):
    """Takes an invitation up. The secret itself isn't sent: `mac` is BLAKE2b of `request` (a MachineRequest, encoded)
    with the secret as key. Asked again with the same request, it gives the same machine a passport again.

    Errors: Unauthorized (no such invitation, over, or another secret), Conflict (it was used). Answer: Passported.
    """

    invitation: str
    request: bytes
    mac: bytes


class Renew(Message, frozen=True, kw_only=True):
    """Asks for a passport of a new key for a machine that has one. `signature`: over `request`, by the key that the
    directory knows. Errors: Unauthorized. Answer: Passported.
    """

    machine: str
    request: bytes
    signature: bytes


class Roll(Word, frozen=True, kw_only=True):
    """What a server of the bus checks tickets with: `charter` names the authority, `accounts` (name, text; the first is
    the machines') say which tickets aren't taken any more. Said again and again; the newest by `time` holds.
    """

    time: int
    charter: str
    accounts: tuple[tuple[str, str], ...]


class BrokerPapers(Word, frozen=True, kw_only=True):
    """What a machine that runs a server of the bus is given besides. `route`: the password by which the servers of its
    cluster know each other, closed with a key made of the invitation's secret; empty for a renewal.
    """

    roll: Roll
    route: bytes = b""


class Papers(Word, frozen=True, kw_only=True):
    """What a machine is given: its passport (a SealedPassport, encoded), and the ticket that the servers of the bus let
    it in by.
    """

    passport: bytes
    ticket: str = ""
    centre: str = ""
    """The directory's cluster, to which others may be linked by servers of their own."""
    broker: BrokerPapers | None = None


class Passported(Word, frozen=True, kw_only=True):
    """A machine's papers (encoded). `mac`: BLAKE2b of them with the invitation's secret: who asked knows by it that the
    directory has answered. Empty for a renewal.
    """

    papers: bytes = b""
    mac: bytes = b""
    passport: bytes = b""
    """Beside its papers, for machines that know of nothing else. Empty for an invitation."""


class Bar(Message, frozen=True, kw_only=True):
    """Shuts a machine out, for good. Errors: NotFound. Answer: Done."""

    machine: str


class Barred(Word, frozen=True, kw_only=True):
    """The machines that were shut out and whose passports haven't ended. Said again and again."""

    machines: tuple[str, ...]


DirectoryQuestion = Invite | Enroll | Bar


def route_key(secret: Secret) -> bytes:
    """The key that `BrokerPapers.route` is closed with, made of an invitation's secret."""
    return mac(secret, b"route")


def mac(secret: Secret, text: bytes) -> bytes:
    """What proves that its sender has the secret: BLAKE2b with the secret as key, 32 bytes."""
    return blake2b(text, key=secret.reveal().encode(), digest_size=32).digest()
