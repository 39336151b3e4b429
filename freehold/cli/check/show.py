"""The command: what was found, for people or for programs, and the exit code."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from freehold import config
from freehold.cli.check.finding import Finding, State
from freehold.cli.check.gather import findings
from freehold.cli.ending import run
from freehold.runtime import log

_MARKS: Final = {State.OK: "ok      ", State.WARNING: "warning ", State.WRONG: "WRONG   "}


def check(path: Path | None, state: Path, roles: tuple[str, ...], *, as_json: bool) -> None:
    """Prints what was found. Exits with 1 if anything is wrong."""
    run(_check(path, state, roles, as_json=as_json))


async def _check(path: Path | None, state: Path, roles: tuple[str, ...], *, as_json: bool) -> None:
    settings = config.read(path, state=state, roles=roles or None)
    log.configure(level="error")
    found = await findings(settings)
    await asyncio.to_thread(print, shown_as_json(found) if as_json else shown(found))
    if any(finding.state is State.WRONG for finding in found):
        raise SystemExit(1)


def shown(found: list[Finding]) -> str:
    """For people: a line each, what is to be done under it, and the sum."""
    lines = []
    for finding in found:
        lines.append(f"{_MARKS[finding.state]}{finding.check}: {finding.what}")
        if finding.mend:
            lines.append(f"{' ' * len(_MARKS[finding.state])}-> {finding.mend}")
    count = {state: sum(finding.state is state for finding in found) for state in State}
    sum_up = f"{count[State.WRONG]} wrong, {count[State.WARNING]} warnings, {count[State.OK]} as they should be"
    return "\n".join([*lines, sum_up])


def shown_as_json(found: list[Finding]) -> str:
    """For programs."""
    return json.dumps({"findings": [asdict(finding) for finding in found]}, indent=2)
