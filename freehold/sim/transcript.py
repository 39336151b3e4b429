"""What happened in a run, as lines that read as a story. The same seed gives the same lines, byte for byte."""

from collections.abc import Callable
from hashlib import blake2b


class Transcript:
    """Lines with the virtual time they happened at. Keeps them only if asked to; the digest covers them all."""

    def __init__(self, now: Callable[[], float], *, keep: bool) -> None:
        self._now, self._keep = now, keep
        self._digest = blake2b(digest_size=16)
        self.lines: list[str] = []

    def tell(self, who: str, what: str) -> None:
        """Adds a line."""
        line = f"{self._now():10.3f}  {who:<12} {what}"
        self._digest.update(line.encode() + b"\n")
        if self._keep:
            self.lines.append(line)

    def digest(self) -> str:
        """A name for everything that was told."""
        return self._digest.hexdigest()
