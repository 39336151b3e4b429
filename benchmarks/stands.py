"""Where owners' logs stand, in a file: what one process has seen written, another can be held against."""

import json
from pathlib import Path
from typing import Any

from freehold.vocabulary.envelope import Position


def is_behind(read: Position | None, written: list[Any]) -> bool:
    """Whether a reader lacks something of what an owner has written."""
    _, epoch, seq, digest = written
    if read is None or read.epoch != epoch or read.seq < seq:
        return True
    return bool(read.seq == seq and read.digest.hex() != digest)


def written(file: str) -> dict[str, list[Any]]:
    """What is in such a file."""
    stands: dict[str, list[Any]] = json.loads(Path(file).read_bytes())
    return stands
