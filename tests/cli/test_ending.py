"""What a command leaves behind when it ends before it is done."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.cli.ending import run
from freehold.vocabulary.errors import Conflict


@pytest.fixture
def at_a_terminal() -> Iterator[None]:
    """Where Ctrl-C breaks off: whoever starts these tests in the background may have had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("at_a_terminal")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_command_that_is_told_to_end_clears_up_first(tmp_path: Path, number: signal.Signals, code: int) -> None:
    async def work() -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path):
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()

    with pytest.raises(SystemExit) as ended:
        run(work())
    assert ended.value.code == code and not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "and nobody else's signals are caught"


def test_an_error_is_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        raise Conflict("It is heard.")

    with pytest.raises(SystemExit) as ended:
        run(work())
    assert ended.value.code == 1 and capsys.readouterr().err == "freehold: It is heard.\n"
