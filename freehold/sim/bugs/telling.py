"""Bugs that are planted: telling others."""

from typing import Final

from freehold.sim.planted import Bug

_NOTIFIER: Final = "freehold.workers.notifier"

BUGS: Final = (
    Bug(
        "what waits for a receiver is forgotten when the notifier ends",
        f"{_NOTIFIER}.worker",
        "                self.queues.add(target, number, lane)",
        "                pass",
    ),
    Bug(
        "no answer is taken for one",
        f"{_NOTIFIER}.lifecycle",
        "    if attempt.taken:\n",
        "    if attempt.taken or not attempt.status:\n",
    ),
    Bug(
        "the newest is told first",
        f"{_NOTIFIER}.queues",
        "enumerate(self.waiting.items())",
        "enumerate(reversed(self.waiting.items()))",
    ),
    Bug(
        "what the ledger hadn't given yet is never told",
        f"{_NOTIFIER}.gathering",
        'if entry.kind == "admission" and self._records.held.get(entry.key):',
        'if entry.kind == "" and self._records.held.get(entry.key):',
    ),
    Bug(
        "what is missed is told to every project",
        f"{_NOTIFIER}.records",
        "        return self._targets.get(project, {}).values()",
        "        return [one for those in self._targets.values() for one in those.values()]",
    ),
    Bug(
        "where it stands is kept without what follows from it",
        f"{_NOTIFIER}.gathering",
        "        self._records.stage(self._changes, cause)\n",
        "        self._records.stage(self._changes[-1:], cause)\n",
    ),
)
