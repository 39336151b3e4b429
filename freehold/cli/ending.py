"""How a command ends: what went wrong is a sentence on standard error, and an exit code."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from freehold.vocabulary.errors import FreeholdError


def run(work: Coroutine[Any, Any, None]) -> None:
    """Does a command's work. Exits with 1 after an error, with 130 when it was broken off."""
    try:
        asyncio.run(work)
    except FreeholdError as error:
        print(f"freehold: {error.message}", file=sys.stderr)
        raise SystemExit(1) from error
    except KeyboardInterrupt as error:
        raise SystemExit(130) from error
