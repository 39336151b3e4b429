"""Bugs that are planted: fences, and guests that leave dead hosts."""

from typing import Final

from freehold.sim.planted import Bug

_HOST: Final = "freehold.workers.host"
_REGISTRAR: Final = "freehold.workers.registrar"

BUGS: Final = (
    Bug(
        "a guest leaves a host by the deed that its host has",
        f"{_REGISTRAR}.lifecycle",
        "        deed=deed,\n        stage=Stage.SCHEDULED,\n        left=",
        "        deed=replace(deed, number=admission.deed.number),\n        stage=Stage.SCHEDULED,\n        left=",
    ),
    Bug(
        "a host that comes back runs what has left it",
        f"{_HOST}.clearance",
        "elif intent.deed.number > guest.deed:",
        "elif guest.id == '':",
    ),
    Bug(
        "a build that is withdrawn leaves a tombstone",
        f"{_HOST}.claims",
        "        deleted=known is not None and known.deleted,",
        "        deleted=True,",
    ),
    Bug(
        "a fence that is lifted goes on for its readers",
        "freehold.views.fences",
        "if fence is not None and not fence.lifted:",
        "if fence is not None:",
    ),
    Bug(
        "who comes back isn't told what has ended by the fence",
        f"{_REGISTRAR}.worker",
        "return Intent(guest=guest, ended=self.records.has_ended(guest))",
        "return Intent(guest=guest)",
    ),
)
