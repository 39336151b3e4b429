"""Bugs that are planted: the ledger's rules and loop."""

from typing import Final

from freehold.sim.planted import Bug

_REGISTRAR: Final = "freehold.workers.registrar"

BUGS: Final = (
    # --- the ledger's rules
    Bug(
        "quota is off by one",
        f"{_REGISTRAR}.lifecycle",
        "used.get(resource, 0) + amount > limit",
        "used.get(resource, 0) + amount > limit + 1",
    ),
    Bug(
        "a guest that is to be deleted is built elsewhere when its host refuses it",
        f"{_REGISTRAR}.lifecycle",
        "if admission.delete_urn or (refusal.deleted and admission.stage is Stage.ACTIVE):",
        "if refusal.deleted and admission.stage is Stage.ACTIVE:",
    ),
    Bug(
        "deeds aren't first-wins",
        f"{_REGISTRAR}.lifecycle",
        "may_hold(admission):\n        return admission\n    if deed.number",
        "may_hold(admission):\n        return replace(admission, deed=deed)\n    if deed.number",
    ),
    Bug(
        "a deed's number needn't follow",
        f"{_REGISTRAR}.lifecycle",
        "if deed.number != (1 if highest is None else highest.number + 1):",
        "if deed.number < 0:",
    ),
    Bug(
        "a refusal counts from any host, of any deed",
        f"{_REGISTRAR}.lifecycle",
        "if admission.deed is None or admission.deed.host != host or refusal.deed < admission.deed.number:",
        "if admission.deed is None:",
    ),
    Bug(
        "a refusal's deed is compared the wrong way",
        f"{_REGISTRAR}.lifecycle",
        "or refusal.deed < admission.deed.number:",
        "or refusal.deed <= admission.deed.number:",
    ),
    Bug(
        "a delete ends without its host",
        f"{_REGISTRAR}.lifecycle",
        "    if not may_hold(admission):\n",
        "    if admission.deed is None or admission.stage is not Stage.ADMITTED:\n",
    ),
    Bug(
        "a delete is carried before it is on disk",
        f"{_REGISTRAR}.reconciler",
        "            await self._records.store.durable()\n            now = ",
        "            now = ",
    ),
    Bug(
        "a stage that is out of date fails a guest that runs",
        f"{_REGISTRAR}.lifecycle",
        "if admission.stage in ENDED or admission.delete_urn or deed < newest:",
        "if admission.stage is Stage.FAILED or admission.delete_urn:",
    ),
    Bug(
        "a refusal has no effect",
        "freehold.vocabulary.request",
        "return self.deed if self.deed is not None and self.refused_deed < self.deed.number else None",
        "return self.deed",
    ),
    Bug(
        "a guest that runs isn't taken for active",
        f"{_REGISTRAR}.lifecycle",
        "    if guest.state in _RAN and guest.launched is not None:\n",
        "    if False:\n",
    ),
    Bug(
        "a request that has failed takes a guest that runs with it",
        f"{_REGISTRAR}.effects",
        "unless_run=not admission.delete_urn,",
        "unless_run=False,",
    ),
    Bug(
        "a guest that ran too late for its request stays in error",
        f"{_REGISTRAR}.lifecycle",
        "if admission.delete_urn or admission.stage is Stage.ACTIVE or not may_hold(admission):",
        "if admission.delete_urn or admission.stage in ENDED or not may_hold(admission):",
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
        "delete_urn=admission.delete_urn,\n            refused_deed",
        'delete_urn="",\n            refused_deed',
    ),
    Bug(
        "quota isn't given back",
        f"{_REGISTRAR}.tally",
        "self._use(guest, -1 if after is None else 1)",
        "self._use(guest, 0 if after is None else 1)",
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
        "if (after.stage in lifecycle.ENDED and not after.moving) or after.delete_urn:",
        "if after.delete_urn:",
    ),
    Bug(
        "nothing is sent again",
        f"{_REGISTRAR}.reconciler",
        "        self._due.plan(guest)\n",
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
        "return self._ends_s[build.guest][1] <= monotonic_s",
        "return build.expires <= self._means.clock.now()",
    ),
)
