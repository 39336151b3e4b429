"""Stories as text: a page of prose, with commands to a simulated cloud and what each of them is answered.

    Two guests are made.

    > create web db
        web is admitted
        db is admitted

A line that begins with ``> `` is a command, the indented lines right below it are its answer, and everything else is
for people. `python -m tests.scenarios.playbook FILE` plays a story and prints it with the answers it got. The first
command makes the cloud; `phrases` has all of them. A story ends at the first promise that is broken: the answer says
which, and the rest stays as it was.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.sim.run import play_in
from freehold.sim.world import World
from tests.scenarios.phrases import perform
from tests.scenarios.stage import Stage, cloud_of

PROMPT: Final = "> "
MARGIN: Final = "    "


@dataclass(slots=True)
class Step:
    """Prose, then a command (none at the end of a page) and its answer, all of them lines."""

    prose: list[str]
    command: str
    answer: list[str]

    def lines(self) -> Iterator[str]:
        """The step as it stands on its page."""
        yield from self.prose
        if self.command:
            yield PROMPT + self.command
        yield from (MARGIN + line for line in self.answer)


def steps(text: str) -> list[Step]:
    """The steps of a page."""
    found = [Step([], "", [])]
    for line in text.splitlines():
        last = found[-1]
        if last.command and line.startswith(MARGIN):
            last.answer.append(line.removeprefix(MARGIN))
            continue
        if last.command:
            last = Step([], "", [])
            found.append(last)
        if line.startswith(PROMPT):
            last.command = line.removeprefix(PROMPT)
        else:
            last.prose.append(line)
    return found


def page(told: list[Step]) -> str:
    """The page of some steps: the other way round than `steps`."""
    return "".join(f"{line}\n" for step in told for line in step.lines())


def played(text: str) -> tuple[str, str]:
    """The page with the answers that its commands get, and the promise that was broken; empty if all were kept."""
    told = steps(text)
    commands = [step for step in told if step.command]

    async def story(world: World) -> None:
        stage = Stage(world)
        for step in commands:
            await stage.stay_signed_in()
            step.answer = await perform(stage, step.command)
            if world.checkers.found:
                step.answer.append(f"BROKEN: {stage.named(world.checkers.found)}")
                return

    seed, scale = cloud_of(commands[0].command)
    outcome = play_in(seed, scale, story)
    return page(told), outcome.violation


def main(path: Path) -> int:
    """Plays a story."""
    told, broken = played(path.read_text())
    sys.stdout.write(told)
    sys.stderr.write(f"{broken}\n" if broken else "")
    return 1 if broken else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets of strings is part of what happens
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-m", "tests.scenarios.playbook", *sys.argv[1:]], environment)
    sys.exit(main(Path(sys.argv[1])))
