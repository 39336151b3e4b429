"""Bugs that are planted: viewing, and reading what was written."""

from typing import Final

from freehold.sim.planted import Bug

BUGS: Final = (
    # --- viewing
    Bug(
        "a heartbeat that says what is known wakes all the same",
        "freehold.views.follower",
        "        return stands.digest == told.digest",
        "        return False",
    ),
    Bug(
        "the lost last event isn't seen",
        "freehold.views.follower",
        "        self._sink.heard(heartbeat)\n        self._hear(heartbeat)",
        "        self._sink.heard(heartbeat)",
    ),
    Bug(
        "what comes while an owner is asked is forgotten for good",
        "freehold.views.follower",
        "            held = self._held.pop(owner.store)  # however",
        "            held = self._held[owner.store]  # however",
    ),
    Bug(
        "absence in a complete state means nothing",
        "freehold.views.rows",
        "        for kind, key in gone:\n",
        "        for kind, key in ():\n",
    ),
    Bug(
        "the record under the lower deed is shown",
        "freehold.views.rows",
        "if rank(standing[HEAD_BYTES:], holder) > rank(value, store):",
        "if rank(standing[HEAD_BYTES:], holder) < rank(value, store):",
    ),
    Bug(
        "a deleted record stays in lists",
        "freehold.views.rows",
        "        self._txn.delete(where, db=self._rows)\n        self._txn.delete(place, db=self._places)",
        "        self._txn.delete(place, db=self._places)",
    ),
    Bug(
        "a page begins with the marker",
        "freehold.views.layout",
        "    return cursor.prev() if cursor.set_range(end) else cursor.last()",
        "    return cursor.set_range(end) if start else (cursor.prev() if cursor.set_range(end) else cursor.last())",
    ),
    # --- reading what was written
    Bug(
        "lists don't ask whether they are new",
        "freehold.views.cloud",
        "        await asyncio.gather(*(self._caught_up(store) for store in stores))",
        "        await asyncio.gather(*(self._caught_up(store) for store in stores[:0]))",
    ),
    Bug(
        "who comes late shares the question that was asked",
        "freehold.views.questions",
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
        "            if owner.role not in _MANY:\n",
        '            if owner.role == "":\n',
    ),
    Bug(
        "a view that knows no registrar answers",
        "freehold.views.cloud",
        '        if not known:\n            raise Unavailable(f"Registrar',
        '        if not known and shard < 0:\n            raise Unavailable(f"Registrar',
    ),
)
