"""Bugs that are planted: claims, commands and effects of hosts."""

from typing import Final

from freehold.sim.planted import Bug

_HOST: Final = "freehold.workers.host"

BUGS: Final = (
    # --- a host's claims
    Bug(
        "refusals on disk are ignored",
        f"{_HOST}.claims",
        "if refusal is not None and (refusal.deleted or deed.number <= refusal.deed):",
        "if refusal is not None and deed.number < 0:",
    ),
    Bug(
        "a refused deed is taken when it comes again",
        f"{_HOST}.claims",
        "(refusal.deleted or deed.number <= refusal.deed)",
        "(refusal.deleted or deed.number < refusal.deed)",
    ),
    Bug(
        "a build that comes twice is built twice",
        f"{_HOST}.claims",
        "    if held is not None and not (outdated and build.restore):\n",
        "    if deed is None:\n",
    ),
    Bug("room isn't looked at", f"{_HOST}.claims", "if not free.fits(wanted):", "if not host.total.fits(wanted):"),
    Bug(
        "a claim doesn't take room",
        f"{_HOST}.records",
        "self._used = self._used.plus(needed_by(guest.spec.flavor))",
        "self._used = NOTHING",
    ),
    Bug(
        "what ends keeps its room",
        f"{_HOST}.records",
        "            self._uncount(gone)",
        "            pass",
    ),
    Bug(
        "a delete of an unknown guest is written too low",
        f"{_HOST}.claims",
        "deed=max(command.deed, known.deed if known else 0)",
        "deed=0",
    ),
    Bug(
        "a delete of an unknown guest isn't written",
        f"{_HOST}.removals",
        "return self._keep(refusal_of_unknown(command, known, self._clock.now()))",
        "return None",
    ),
    Bug(
        "a build that was sent before a start is taken after it",
        f"{_HOST}.claims",
        'return build.incarnation not in ("", host.incarnation)',
        "return False",
    ),
    # --- a host's loop and effects
    Bug(
        "a command is answered before it is durable",
        f"{_HOST}.worker",
        "        await self._store.durable(position)\n        return self._desk.done",
        "        return self._desk.done",
    ),
    Bug(
        "guests are started before the registrar was heard",
        f"{_HOST}.actors",
        "return self.gate(guest.project).cleared.is_set() and (not wires or self._begun.may_finish(guest))",
        "return not wires or self._begun.may_finish(guest)",
    ),
    Bug(
        "what an earlier process was making is wired unasked",
        f"{_HOST}.begun",
        "return guest.id not in self._unsure or not _is_in_doubt(guest)",
        "return True",
    ),
    Bug(
        "a host that was put back takes apart what has run",
        f"{_HOST}.actors",
        "if self.is_outdated(guest.id):\n            return False",
        "if self.is_outdated(guest.id) and not guest.id:\n            return False",
    ),
    Bug(
        "a late build is taken for a guest that was deleted",
        f"{_HOST}.clearance",
        "given = intent.deed == build.deed and intent.refused_deed < number",
        "given = intent.refused_deed < number",
    ),
    Bug(
        "what is left of a guest is built over",
        f"{_HOST}.claims",
        "if build.restore or power is not Power.ABSENT:",
        "if build.restore:",
    ),
    Bug(
        "what the registrar says isn't heeded",
        f"{_HOST}.clearance",
        "            self._heed(answers[-1])",
        "            pass",
    ),
    Bug(
        "an effect runs before its record is durable",
        f"{_HOST}.actors",
        "        await self._records.store.durable()\n        answer",
        "        answer",
    ),
    Bug(
        "guests aren't taken up after a power cut",
        f"{_HOST}.clearance",
        "            await self._resume(shard)",
        "            pass",
    ),
    Bug(
        "an answer counts that isn't asked for any more",
        f"{_HOST}.lifecycle",
        "EffectFailed(effect=effect) if effect is not effect_of(guest):",
        "EffectFailed(effect=effect) if guest.deed < 0:",
    ),
    Bug(
        "what is refused isn't taken apart",
        f"{_HOST}.moves",
        "    S.REFUSING: Effect.REMOVE,\n",
        "",
    ),
    Bug(
        "a delete leaves the disk",
        f"{_HOST}.effects",
        "                await self._hypervisor.remove(guest.id)\n                await self._unplug(guest)",
        "                await self._hypervisor.stop(guest.id)\n                await self._unplug(guest)",
    ),
    Bug(
        "a delete leaves the ports plugged",
        f"{_HOST}.effects",
        "                await self._hypervisor.remove(guest.id)\n                await self._unplug(guest)",
        "                await self._hypervisor.remove(guest.id)",
    ),
    Bug(
        "a deleted guest's secrets are kept",
        f"{_HOST}.records",
        "            keep_private(BUILD_SECRET, guest.id, None),\n",
        "",
    ),
    Bug(
        "nothing goes on after a restart",
        f"{_HOST}.reconciler",
        "for guest in self._records.guests() if effect_of(guest) is not None])",
        "for guest in () if effect_of(guest) is not None])",
    ),
    Bug(
        "a delete leaves no refusal",
        f"{_HOST}.records",
        "            put(guest.id, refusal),\n",
        "",
    ),
    Bug(
        "a stop waits for ever",
        f"{_HOST}.actors",
        "        self.take(guest, DeadlinePassed(deadline))",
        "        pass",
    ),
)
