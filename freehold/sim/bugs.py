"""The table of bugs that are planted to test the simulation. Each must be found; `make sim-bugs` shows how fast."""

from typing import Final

from freehold.sim.planted import Bug

_REGISTRAR: Final = "freehold.workers.registrar"
_HOST: Final = "freehold.workers.host"
_NETWORK: Final = "freehold.workers.network"

BUGS: Final = (
    # --- the ledger's rules
    Bug(
        "quota is off by one",
        f"{_REGISTRAR}.lifecycle",
        "used.get(resource, 0) + amount > limit",
        "used.get(resource, 0) + amount > limit + 1",
    ),
    Bug(
        "a deed is given for a guest that is to be deleted",
        f"{_REGISTRAR}.lifecycle",
        "admission is None or admission.delete_urn or admission.stage in ENDED or",
        "admission is None or admission.stage in ENDED or",
    ),
    Bug(
        "deeds aren't first-wins",
        f"{_REGISTRAR}.lifecycle",
        "if highest is not None and may_hold(admission):",
        "if highest is not None and highest.number >= deed.number + 9:",
    ),
    Bug(
        "a deed's number needn't follow",
        f"{_REGISTRAR}.lifecycle",
        "if deed.number != (1 if highest is None else highest.number + 1):",
        "if deed.number < 0:",
    ),
    Bug(
        "a refusal counts from any host",
        f"{_REGISTRAR}.lifecycle",
        "if admission.deed is None or admission.deed.host != host or refusal.deed < admission.deed.number:",
        "if admission.deed is None or refusal.deed < admission.deed.number:",
    ),
    Bug(
        "a refusal's deed is compared the wrong way",
        f"{_REGISTRAR}.lifecycle",
        "or refusal.deed < admission.deed.number:",
        "or refusal.deed > admission.deed.number:",
    ),
    Bug(
        "a delete ends without its host",
        f"{_REGISTRAR}.lifecycle",
        "    if not may_hold(admission):\n",
        "    if admission.deed is None or admission.stage is not Stage.ADMITTED:\n",
    ),
    Bug(
        "a stage that is out of date may give up",
        f"{_REGISTRAR}.lifecycle",
        "admission.delete_urn or deed < newest:",
        "admission.delete_urn:",
    ),
    Bug(
        "a refusal has no effect",
        f"{_REGISTRAR}.lifecycle",
        "return admission.deed is not None and admission.refused_deed < admission.deed.number",
        "return admission.deed is not None",
    ),
    Bug(
        "a guest that is built is taken for active",
        f"{_REGISTRAR}.lifecycle",
        "Stage.ACTIVE if guest.state in _RAN and guest.launched is not None else Stage.BUILDING",
        "Stage.ACTIVE",
    ),
    # --- the ledger's loop
    Bug(
        "a create is answered before it is durable",
        f"{_REGISTRAR}.worker",
        "        await self._store.durable(position)\n        for guest in guests:",
        "        for guest in guests:",
    ),
    Bug(
        "idempotency keys are forgotten",
        f"{_REGISTRAR}.worker",
        "        if used_for is not None:\n            await self._store.durable()",
        "        if used_for is not None and asked.deadline_s < 0:\n            await self._store.durable()",
    ),
    Bug(
        "a deed is told before it is durable",
        f"{_REGISTRAR}.worker",
        "        await self._store.durable()\n        assert after.deed is not None",
        "        assert after.deed is not None",
    ),
    Bug(
        "a delete is answered before it is durable",
        f"{_REGISTRAR}.worker",
        "        await self._store.durable()\n        return self.desk.done(self._store.position(), urn if after",
        "        return self.desk.done(self._store.position(), urn if after",
    ),
    Bug(
        "a new build isn't sent",
        f"{_REGISTRAR}.worker",
        "        for guest in guests:\n            self._reconciler.wake(guest)",
        "        for guest in ():\n            self._reconciler.wake(guest)",
    ),
    Bug(
        "hosts aren't told what is to be deleted",
        f"{_REGISTRAR}.worker",
        "deed=admission.deed, delete_urn=admission.delete_urn)",
        'deed=admission.deed, delete_urn="")',
    ),
    Bug(
        "quota isn't given back",
        f"{_REGISTRAR}.records",
        "            self._count(before, -1)\n",
        "            self._count(before, 0)\n",
    ),
    Bug(
        "requests of deleted guests never end",
        f"{_REGISTRAR}.records",
        "changes += self._requests_ended(before, now)",
        "changes += ()",
    ),
    Bug(
        "a deleted guest's message is kept",
        f"{_REGISTRAR}.records",
        'drop("admission", before.guest), keep_private("build", before.guest, None)]',
        'drop("admission", before.guest)]',
    ),
    Bug(
        "an ended build's message is kept",
        f"{_REGISTRAR}.records",
        "if after.stage in lifecycle.ENDED or after.delete_urn:",
        "if after.delete_urn:",
    ),
    Bug(
        "nothing is sent again",
        f"{_REGISTRAR}.reconciler",
        "        self._schedule(guest, self._pause(guest))\n",
        "",
    ),
    Bug(
        "nothing is pursued after a restart",
        f"{_REGISTRAR}.reconciler",
        "            if self._unfinished(admission):",
        "            if self._carrying:",
    ),
    Bug(
        "a failed build's host isn't asked to refuse it",
        f"{_REGISTRAR}.reconciler",
        "return admission.fault is not None and lifecycle.may_hold(admission)",
        "return False",
    ),
    Bug(
        "a delete is carried once",
        f"{_REGISTRAR}.reconciler",
        "            self._carrying.discard(admission.guest)",
        "            pass",
    ),
    Bug(
        "a deadline is counted by the wall clock",
        f"{_REGISTRAR}.reconciler",
        "return self._ends_s[build.guest] <= monotonic_s",
        "return build.expires <= self._means.clock.now()",
    ),
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
        "    if held is not None:\n",
        "    if deed is None:\n",
    ),
    Bug("room isn't looked at", f"{_HOST}.claims", "if not free.fits(wanted):", "if not host.total.fits(wanted):"),
    Bug(
        "a claim doesn't take room",
        f"{_HOST}.records",
        "return reduce(Capacity.plus, (needed_by(guest.spec.flavor) for guest in self._guests.values()), NOTHING)",
        "return NOTHING",
    ),
    Bug(
        "a delete of an unknown guest is written too low",
        f"{_HOST}.claims",
        "deed=max(command.deed, known.deed if known else 0)",
        "deed=0",
    ),
    Bug(
        "a delete of an unknown guest isn't written",
        f"{_HOST}.worker",
        "None if refusal is None else self._records.keep_refusal(refusal))",
        "None)",
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
        "(effect is Effect.LAUNCH and not self.cleared.is_set())",
        "(effect is Effect.LAUNCH and not self._records)",
    ),
    Bug(
        "what the registrar says isn't heeded",
        f"{_HOST}.clearance",
        "            self._heed(await self._asked(guests[first : first + GUESTS_MAX]))",
        "            await self._asked(guests[first : first + GUESTS_MAX])",
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
        "            self._resume(boot)",
        "            pass",
    ),
    Bug(
        "old news of a guest's power counts",
        f"{_HOST}.lifecycle",
        "case PowerSeen(since=since) if since != guest.updated:",
        "case PowerSeen(since=since) if since < 0:",
    ),
    Bug(
        "an answer counts that isn't asked for any more",
        f"{_HOST}.lifecycle",
        "EffectFailed(effect=effect) if effect is not effect_of(guest):",
        "EffectFailed(effect=effect) if guest.deed < 0:",
    ),
    Bug(
        "what is refused isn't taken apart",
        f"{_HOST}.lifecycle",
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
        "            put(guest.id, decision.refusal),\n",
        "",
    ),
    Bug(
        "a stop waits for ever",
        f"{_HOST}.actors",
        "        self.take(guest, DeadlinePassed(deadline))",
        "        pass",
    ),
    # --- leases
    Bug(
        "a late build takes addresses for a guest that has ended",
        f"{_NETWORK}.lifecycle",
        "if holdings.sight(deed.host, build.guest).ended >= deed.number:",
        "if holdings.sight(deed.host, build.guest).ended >= deed.number + 9:",
    ),
    Bug(
        "deeds of leases are compared the wrong way",
        f"{_NETWORK}.lifecycle",
        "Standing.OUTDATED if booking.deed > deed.number else Standing.MOVING",
        "Standing.OUTDATED if booking.deed < deed.number else Standing.MOVING",
    ),
    Bug(
        "a refusal doesn't end a lease",
        f"{_NETWORK}.lifecycle",
        "return sight.ended >= booking.deed or (sight.deed >= booking.deed and not sight.here)",
        "return sight.deed >= booking.deed and not sight.here",
    ),
    Bug(
        "a lease ends without evidence",
        f"{_NETWORK}.lifecycle",
        "return sight.ended >= booking.deed or (sight.deed >= booking.deed and not sight.here)",
        "return sight.ended >= booking.deed or sight.deed >= booking.deed",
    ),
    Bug(
        "another host's word ends a lease",
        f"{_NETWORK}.lifecycle",
        "    if sight.host != booking.host:\n        return False",
        '    if sight.host == "":\n        return False',
    ),
    Bug(
        "an ended lease keeps its port",
        f"{_NETWORK}.lifecycle",
        '            draft.drop("port", key)',
        "            continue",
    ),
    Bug(
        "addresses are told before they are durable",
        f"{_NETWORK}.worker",
        "        await self._records.durable()\n        await self._effects.carry_out",
        "        await self._effects.carry_out",
    ),
    # --- owning
    Bug(
        "a commit is acknowledged before it is written",
        "freehold.store.database",
        "                async with self._writing:\n                    await self._offload(partial(_write",
        "                self._landed(group)\n"
        "                async with self._writing:\n                    await self._offload(partial(_write",
    ),
    Bug(
        "durable doesn't wait",
        "freehold.store.database",
        "if self._done_ticket >= self._tickets:",
        "if self._done_ticket >= 0:",
    ),
    Bug(
        "a deleted row stays",
        "freehold.store.database",
        'connection.execute("DELETE FROM rows WHERE kind = ? AND key = ?", (entry.kind, entry.key))',
        "pass",
    ),
    Bug(
        "what is staged later is forgotten when the earlier lands",
        "freehold.store.database",
        "if place in self._overlay and self._overlay[place][0] <= ticket:",
        "if place in self._overlay:",
    ),
    Bug(
        "the log isn't chained",
        "freehold.store.database",
        "digest = chained(digest, seq, time, kind, key, value, cause)",
        "digest = chained(bytes(16), seq, time, kind, key, value, cause)",
    ),
    Bug(
        "reads don't see what is staged",
        "freehold.store.database",
        "        if staged is not None:\n            return staged[1]",
        '        if staged is not None and kind == "":\n            return staged[1]',
    ),
    Bug(
        "the compacted log ends before the horizon",
        "freehold.store.database",
        'AND rows.key = log.key AND rows.seq = log.seq)"',
        'AND rows.key = log.key AND rows.seq = -log.seq)"',
    ),
    Bug(
        "a gap in the log is answered as if there were none",
        "freehold.store.database",
        "gap = behind and (not entries or entries[-1].seq != position.seq + len(entries))",
        "gap = False",
    ),
    Bug(
        "heartbeats don't say where the log stands",
        "freehold.workers.base",
        "            position=self._store.position(),\n            time=",
        "            position=Position(epoch=self._store.epoch),\n            time=",
    ),
    # --- viewing
    Bug(
        "a heartbeat that is ahead wakes nobody",
        "freehold.views.follower",
        "elif stands.digest != told.digest:",
        "elif stands.seq == told.seq:",
    ),
    Bug(
        "the lost last event isn't seen",
        "freehold.views.follower",
        "stands.epoch != told.epoch or stands.seq != told.seq:",
        "stands.epoch != told.epoch:",
    ),
    Bug(
        "what comes while an owner is asked is forgotten for good",
        "freehold.views.follower",
        "        for news in self._held.pop(owner.store):",
        "        for news in self._held[owner.store]:",
    ),
    Bug(
        "neither gaps nor digests are looked at",
        "freehold.views.follower",
        "        if e.seq != seq or e.digest != digest:\n            return False",
        "        if e.seq < 0:\n            return False",
    ),
    Bug(
        "absence in a complete state means nothing",
        "freehold.views.rows",
        "            for kind, key in gone:\n",
        "            for kind, key in ():\n",
    ),
    Bug(
        "the record under the lower deed is shown",
        "freehold.views.rows",
        "if _deed(kind, standing[STORE_BYTES:]) > _deed(kind, value):",
        "if _deed(kind, standing[STORE_BYTES:]) < _deed(kind, value):",
    ),
    Bug(
        "a deleted record stays in lists",
        "freehold.views.rows",
        "        txn.delete(where, db=self._rows)\n        txn.delete(place, db=self._places)",
        "        txn.delete(place, db=self._places)",
    ),
    Bug(
        "a page begins with the marker",
        "freehold.views.rows",
        "    found = cursor.prev() if cursor.set_range(end) else cursor.last()",
        "    found = cursor.set_range(end) if start else (cursor.prev() if cursor.set_range(end) else cursor.last())",
    ),
    # --- reading what was written
    Bug(
        "lists don't ask whether they are new",
        "freehold.views.cloud",
        "        await asyncio.gather(*(self._caught_up(store) for store in stores))",
        "        await asyncio.gather(*(self._caught_up(store) for store in stores[:0]))",
    ),
    Bug(
        "a question is shared with who came before it was asked",
        "freehold.views.cloud",
        "        if self._running is None or self._running.done():",
        "        if self._running is None:",
    ),
    Bug(
        "who comes late shares the question that was asked",
        "freehold.views.cloud",
        "            self._next = asyncio.create_task(self._ask_after(self._running))",
        "            self._next = self._running",
    ),
    Bug(
        "a view is called new that is one behind",
        "freehold.views.cloud",
        "stands.epoch == position.epoch and stands.seq >= position.seq",
        "stands.epoch == position.epoch and stands.seq >= position.seq - 1",
    ),
    Bug(
        "an owner that can't be asked is taken for new",
        "freehold.views.cloud",
        '            if owner.role != "host":\n',
        '            if owner.role == "":\n',
    ),
    Bug(
        "a view that knows no registrar answers",
        "freehold.views.cloud",
        "        if not known:\n",
        '        if not known and role == "":\n',
    ),
)
