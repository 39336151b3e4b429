"""The layers of a volume with snapshots, and what becomes of them: pure.

A layer holds what was written since the layer below was closed. The topmost is the one that is written; every other one
belongs to the snapshot that closed it. Taking a snapshot opens a new layer on top, which costs the same for any size.

A deleted snapshot's layer belongs to nobody. It is merged with the layer above: what that one holds is written down
into it, and it takes that one's place. Until that is done, and at any moment in between, the volume and its snapshots
read the same with both of them, so that a merge may be cut off anywhere and begun again. The layer that is being
written can't be merged that way without a moment at which neither the old nor the new order of layers is right after a
crash, so while a volume is exported its topmost layer stays out of it: the one below waits for the next snapshot, or
for the export's end.
"""

from typing import Final

import msgspec

from freehold.vocabulary.errors import Conflict, NotFound
from freehold.vocabulary.word import Word

LAYERS_MAX: Final = 64
"""A read may have to look into each of them."""


class Layer(Word, frozen=True, kw_only=True):
    """One layer. `name` is given once in a volume's life."""

    name: int
    snapshot: str = ""
    """Whose it is; empty for the topmost, and for one that belongs to nobody any more."""


class Chain(Word, frozen=True, kw_only=True):
    """A volume's layers, from the lowest to the topmost."""

    volume: str
    layers: tuple[Layer, ...] = (Layer(name=1),)
    named: int = 1
    """The last name that was given."""

    @property
    def top(self) -> Layer:
        """The layer that is written."""
        return self.layers[-1]

    @property
    def snapshots(self) -> tuple[str, ...]:
        """From the oldest to the newest."""
        return tuple(layer.snapshot for layer in self.layers if layer.snapshot)

    def up_to(self, snapshot: str) -> tuple[Layer, ...]:
        """The layers that make up a snapshot, or the volume itself for the empty text. Raises NotFound."""
        if not snapshot:
            return self.layers
        return self.layers[: self._place(snapshot) + 1]

    def with_snapshot(self, snapshot: str) -> "Chain":
        """With a new layer on top of what is now the snapshot's. Raises Conflict if there are too many."""
        if len(self.layers) >= LAYERS_MAX:
            raise Conflict(
                f"Volume {self.volume} has {len(self.layers)} layers, and can't have more. Delete snapshots of it; if "
                "there are few, detach it for a moment, so that what deleted ones left is merged."
            )
        closed = msgspec.structs.replace(self.top, snapshot=snapshot)
        return self._with((*self.layers[:-1], closed, Layer(name=self.named + 1)))

    def without_snapshot(self, snapshot: str) -> "Chain":
        """With the snapshot's layer belonging to nobody. Raises NotFound."""
        place = self._place(snapshot)
        free = msgspec.structs.replace(self.layers[place], snapshot="")
        return self._with((*self.layers[:place], free, *self.layers[place + 1 :]))

    def reverted(self, snapshot: str) -> "Chain":
        """With a new layer on top of the snapshot, and none of those that were. Raises NotFound, and Conflict unless it
        is the newest."""
        kept = self.layers[: self._place(snapshot) + 1]
        if snapshot != self.snapshots[-1]:
            raise Conflict(f"Volume {self.volume} can be put back only to its newest snapshot, {self.snapshots[-1]}.")
        return self._with((*kept, Layer(name=self.named + 1)))

    def mergeable(self, *, exported: bool) -> tuple[Layer, Layer] | None:
        """The next two layers, lower and upper, that can be one; None if there are none now."""
        end = len(self.layers) - 1 if exported else len(self.layers)
        for lower, upper in zip(self.layers[:end], self.layers[1:end], strict=False):
            if not lower.snapshot:
                return lower, upper
        return None

    def merged(self, lower: Layer, upper: Layer) -> "Chain":
        """With `lower`, which holds what both held, in the place of both."""
        place = self.layers.index(lower)
        both = msgspec.structs.replace(lower, snapshot=upper.snapshot)
        return self._with((*self.layers[:place], both, *self.layers[place + 2 :]))

    def _place(self, snapshot: str) -> int:
        for place, layer in enumerate(self.layers):
            if snapshot and layer.snapshot == snapshot:
                return place
        raise NotFound(f"Volume {self.volume} has no snapshot {snapshot}.")

    def _with(self, layers: tuple[Layer, ...]) -> "Chain":
        named = max(self.named, *(layer.name for layer in layers))
        return msgspec.structs.replace(self, layers=layers, named=named)
