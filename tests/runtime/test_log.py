"""A line an event, to standard error; secrets don't show."""

import json
import subprocess
import sys

SAYS = """
from freehold.runtime.log import configure, logger
from freehold.vocabulary.secret import Secret
configure(level={level!r}, json={json})
log = logger("host")
log.debug("quiet")
log.info("a guest starts", guest="g", password=Secret("correct horse"))
try:
    1 // 0
except ZeroDivisionError as error:
    log.error("failed", exc_info=error)
"""


def said(level: str, *, as_json: bool) -> str:
    """What a process says that logs at every level; it says it to standard error."""
    program = SAYS.format(level=level, json=as_json)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    return run.stderr


def test_lines_for_people() -> None:
    lines = said("info", as_json=False)
    first = lines.splitlines()[0]
    assert "a guest starts" in first and "guest=g" in first and "room=host" in first and "info" in first
    assert "ZeroDivisionError" in lines
    assert "quiet" not in lines and "correct horse" not in lines


def test_lines_for_programs() -> None:
    first, second = (json.loads(line) for line in said("info", as_json=True).splitlines())
    assert (first["event"], first["room"], first["level"], first["guest"]) == ("a guest starts", "host", "info", "g")
    assert first["timestamp"].endswith("Z") and "correct horse" not in json.dumps(first)
    assert "ZeroDivisionError" in second["exception"]


def test_the_level_is_the_least_that_is_said() -> None:
    assert "quiet" in said("debug", as_json=True)
    assert "a guest starts" not in said("error", as_json=True)
