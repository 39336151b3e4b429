"""What the host remembers: guests, their actions, refusals and its own record, each written as it was decided.

Usage has no ledger of its own: `Host.used` is the sum over the guests' records, computed anew in each transaction that
adds or ends one.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from freehold.runtime.clock import HybridClock
from freehold.store.database import Store, drop, keep_private, put
from freehold.store.writing import Change
from freehold.vocabulary.attachment import Opened, ReleaseVolume
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.errors import Broken, Conflict
from freehold.vocabulary.guest import Action, Guest, GuestState, Refusal
from freehold.vocabulary.host import NOTHING, Capacity, Host, needed_by
from freehold.workers.host.lifecycle import Decision
from freehold.workers.host.messages import NEEDS_IMAGE, BuildSecret, Job

BUILD_SECRET = "build_secret"
RESUMED = "resumed"
OWED = "owed_release"
"""Private kind: what the owner of a volume is still to be told. Key: the attachment."""
OPENED = "opened_volume"
"""Private kind: what a volume was last opened with, and under which deed. Key: the attachment."""
QUARANTINED = GuestState.QUARANTINED


class Records:
    """The typed rows of a host's store. All is synchronous: what is staged is seen at once, and durable later."""

    def __init__(self, store: Store, clock: HybridClock) -> None:
        self.store = store
        self._clock = clock
        self._guests: dict[str, Guest] = {}
        self._by_port: dict[str, str] = {}
        self._used, self._quarantined = NOTHING, 0
        """Of all guests together: a change of one needn't look at the others."""
        for guest in store.scan(Guest):
            self._keep_guest(guest)

    # --- reading -------------------------------------------------------------------------------------------------

    def host(self) -> Host:
        """The host's own record. Raises Broken before it was first written."""
        host = self.known_host()
        if host is None:
            raise Broken("The host's own record is missing from its store.")
        return host

    def known_host(self) -> Host | None:
        """The host's own record, if it was ever written."""
        return self.store.read_as(Host, self.store.id)

    def guest(self, guest: str) -> Guest | None:
        """A guest's record."""
        return self._guests.get(guest)

    def guests(self) -> list[Guest]:
        """All guests."""
        return list(self._guests.values())

    def guest_of_port(self, port: str) -> Guest | None:
        """The guest that a port belongs to."""
        return self._guests.get(self._by_port.get(port, ""))

    def refusal(self, guest: str) -> Refusal | None:
        """What was refused of a guest."""
        return self.store.read_as(Refusal, guest)

    def refusals(self) -> list[Refusal]:
        """All refusals."""
        return self.store.scan(Refusal)

    def action(self, guest: str, urn: str) -> Action | None:
        """What was done to a guest by a request."""
        return self.store.read_as(Action, f"{guest}/{urn}")

    def secret(self, guest: str) -> BuildSecret:
        """What of a guest's build is private."""
        raw = self.store.read_private(BUILD_SECRET, guest)
        return BuildSecret() if raw is None else decode(raw, BuildSecret)

    def job(self, guest: str) -> Job | None:
        """A guest with its secrets."""
        held = self.guest(guest)
        return None if held is None else Job(held, self.secret(guest))

    def used(self) -> Capacity:
        """What all guests here take together."""
        return self._used

    # --- writing -------------------------------------------------------------------------------------------------

    def keep_host(self, host: Host, cause: str) -> Position:
        """Writes the host's record, with its use as it is."""
        return self.store.stage([self._host_change(host)], cause)

    def keep_boot(self, boot: str) -> Position:
        """Writes which boot of the machine the guests have been seen to for."""
        return self.keep_host(replace(self.host(), boot=boot), "machine restarted")

    def resumed(self, shard: int) -> str:
        """The boot of the machine that a registrar shard's guests were last resumed for."""
        return (self.store.read_private(RESUMED, str(shard)) or b"").decode()

    def keep_resumed(self, shard: int, boot: str) -> Position:
        """Writes that a shard's guests have been resumed for a boot."""
        return self.store.stage([keep_private(RESUMED, str(shard), boot.encode())], "machine restarted")

    def keep_claim(self, guest: Guest, secret: BuildSecret, action: Action) -> Position:
        """Writes a new guest and takes its capacity, in one transaction."""
        self._keep_guest(guest)
        changes = [
            put(guest.id, guest),
            put(_action_key(action), action),
            keep_private(BUILD_SECRET, guest.id, encode(secret)),
            self._host_change(self.host()),
        ]
        return self.store.stage(changes, guest.urn)

    def keep_as_it_is(self, guest: str, cause: str) -> None:
        """Writes a guest's record once more, for a reader that has missed it."""
        self.store.stage([put(guest, self._guests[guest])], cause)

    def keep_secret(self, guest: str, secret: BuildSecret) -> None:
        """Replaces what is private of a guest."""
        self.store.stage([keep_private(BUILD_SECRET, guest, encode(secret))], "build")

    def keep_refusal(self, refusal: Refusal) -> Position:
        """Writes a refusal."""
        return self.store.stage([put(refusal.guest, refusal)], refusal.urn)

    def opened(self, attachment: str) -> tuple[int, Opened] | None:
        """The deed that a volume was last opened under, and with what."""
        value = self.store.read_private(OPENED, attachment)
        return None if value is None else decode(value, tuple[int, Opened])

    def keep_opened(self, attachment: str, deed: int, opened: Opened) -> None:
        """Writes that, if it is served otherwise than it was: certificates are as good as each other."""
        known = self.opened(attachment)
        if known is None or (known[0], known[1].served) != (deed, opened.served):
            self.store.stage([keep_private(OPENED, attachment, encode((deed, opened)))], "opened")

    def forget_opened(self, attachment: str) -> None:
        """Lets go of it."""
        if self.opened(attachment) is not None:
            self.store.stage([keep_private(OPENED, attachment, None)], "released")

    def owed(self) -> list[ReleaseVolume]:
        """What owners of volumes are still to be told: that guests here let go of them."""
        return [decode(value, ReleaseVolume) for _, value in self.store.scan_private(OWED)]

    def owe(self, question: ReleaseVolume) -> None:
        """Writes down that an owner is to be told."""
        self.store.stage([keep_private(OWED, question.attachment, encode(question))], "owed")

    def paid(self, attachment: str) -> None:
        """An owner was told."""
        self.store.stage([keep_private(OWED, attachment, None)], "told")

    def drop_refusals(self, refusals: Iterable[Refusal], cause: str) -> None:
        """Forgets refusals that are past their horizon."""
        changes = [drop("refusal", refusal.guest) for refusal in refusals]
        if changes:
            self.store.stage(changes, cause)

    def keep_decision(self, before: Guest, decision: Decision, cause: str) -> Position:
        """Writes what became of a guest, in one transaction."""
        if decision.guest is None:
            return self.store.stage(self._end(before, decision), cause)
        after = decision.guest
        self._keep_guest(after)
        changes = [put(after.id, after), *self._actions(before, decision)]
        if (before.state is QUARANTINED) is not (after.state is QUARANTINED):
            changes.append(self._host_change(self.host()))
        if before.state in NEEDS_IMAGE and after.state not in NEEDS_IMAGE:
            secret = replace(self.secret(after.id), image_key=None)
            changes.append(keep_private(BUILD_SECRET, after.id, encode(secret)))
        return self.store.stage(changes, cause)

    def _actions(self, before: Guest, decision: Decision) -> list[Change]:
        changes = []
        if decision.finished:
            action = self.action(before.id, decision.finished)
            if action is not None and action.finished is None:
                action = replace(action, finished=self._clock.now(), fault=decision.fault)
                changes.append(put(_action_key(action), action))
        if decision.started:
            changes.append(put(_action_key(decision.started), decision.started))
        return changes

    def _end(self, guest: Guest, decision: Decision) -> list[Change]:
        if decision.refusal is None:
            raise Conflict(f"Guest {guest.id} can't end without a refusal.")
        known, refusal = self.refusal(guest.id), decision.refusal
        if known is not None and known.deed > refusal.deed:  # of a build that was kept away from an old copy
            refusal = replace(refusal, deed=known.deed)
        gone = self._guests.pop(guest.id, None)
        if gone is not None:
            self._uncount(gone)
        self._forget_ports(guest)
        actions = self.store.scan(Action, f"{guest.id}/")
        return [
            *(drop("action", _action_key(action)) for action in actions),
            drop("guest", guest.id),
            put(guest.id, refusal),
            keep_private(BUILD_SECRET, guest.id, None),
            self._host_change(self.host()),
        ]

    def _keep_guest(self, guest: Guest) -> None:
        before = self._guests.get(guest.id)
        if before is not None:
            self._uncount(before)
            self._forget_ports(before)
        self._guests[guest.id] = guest
        self._used = self._used.plus(needed_by(guest.spec.flavor))
        self._quarantined += guest.state is QUARANTINED
        for wiring in guest.ports:
            self._by_port[wiring.port] = guest.id

    def _forget_ports(self, guest: Guest) -> None:
        for wiring in guest.ports:
            if self._by_port.get(wiring.port) == guest.id:
                del self._by_port[wiring.port]

    def _uncount(self, guest: Guest) -> None:
        self._used = self._used.minus(needed_by(guest.spec.flavor))
        self._quarantined -= guest.state is QUARANTINED

    def _host_change(self, host: Host) -> Change:
        use = {"used": self._used, "guests": len(self._guests), "quarantined": self._quarantined}
        host = replace(host, updated=self._clock.now(), **use)
        return put(host.id, host)


def _action_key(action: Action) -> str:
    return f"{action.guest}/{action.urn}"
