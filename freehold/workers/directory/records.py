"""The directory's own store: machines are told, invitations and the authority's key are private."""

from freehold.runtime.chance import Chance
from freehold.runtime.keys import KEY_BYTES, SigningKey
from freehold.store.database import Store, keep_private, put
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.machine import Machine
from freehold.workers.directory.lifecycle import Invitation

_INVITATION = "invitation"
_AUTHORITY = "authority"


class Records:
    """What stands in the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def machines(self) -> list[Machine]:
        """Every machine that was let in."""
        return self.store.scan(Machine)

    def machine(self, machine: str) -> Machine | None:
        """One of them."""
        return self.store.read_as(Machine, machine)

    def invitation(self, invitation: str) -> Invitation | None:
        """An invitation, used or not."""
        kept = self.store.read_private(_INVITATION, invitation)
        return None if kept is None else decode(kept, Invitation)

    def keep_invitation(self, invitation: Invitation) -> Position:
        """Keeps a new one."""
        kept = keep_private(_INVITATION, invitation.id, encode(invitation))
        return self.store.stage([kept], "invite")

    def keep_machine(self, machine: Machine, cause: str, used: Invitation | None = None) -> Position:
        """Keeps a machine, and that it has used its invitation, in one transaction."""
        changes = [put(machine.id, machine)]
        if used is not None:
            changes.append(keep_private(_INVITATION, used.id, encode(used)))
        return self.store.stage(changes, cause)

    def forget_invitations(self, before_ms: int) -> None:
        """Lets go of what nobody can use any more."""
        kept = [decode(value, Invitation) for _, value in self.store.scan_private(_INVITATION)]
        over = [keep_private(_INVITATION, one.id, None) for one in kept if one.expires_ms <= before_ms]
        if over:
            self.store.stage(over, "horizon")

    async def authority(self, chance: Chance) -> SigningKey:
        """The key that signs passports; made the first time."""
        kept = self.store.read_private(_AUTHORITY, "current")
        if kept is None:
            kept = chance.bytes(KEY_BYTES)
            await self.store.commit([keep_private(_AUTHORITY, "current", kept)], "bootstrap")
        return SigningKey(kept)
