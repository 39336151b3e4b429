"""The processes of the laboratory's machines: started as an operator would, found again, and killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from lab import wires
from lab.layout import Machine, Process

ROOT: Final = Path(__file__).parents[1]
START_S: Final = 120.0
END_S: Final = 30.0
POLL_S: Final = 0.1


class Running:
    """A process of a machine, over its folder ``STATE/NAME``."""

    def __init__(self, machine: Machine, process: Process, folder: Path) -> None:
        self.machine, self.process = machine, process
        self.state, self.log = folder / process.name, folder / f"{process.name}.log"
        self._config, self._pid = folder / f"{process.name}.toml", folder / f"{process.name}.pid"
        self._said = 0
        """How often it had said that it is ready when it was started last."""

    def configure(self) -> None:
        """Writes its settings."""
        given = {"state": str(self.state), "cluster": self.machine.cluster, "roles": list(self.process.roles)}
        given |= {"log_level": "warning"} | self.process.settings
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items()))

    def start(self) -> None:
        """Starts it, if it doesn't run, and doesn't wait for it."""
        if self.runs():
            return
        self._said = self._ready_lines()
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                self._command("up", "--state", str(self.state), "--config", str(self._config)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
            )
        self._pid.write_text(str(started.pid))
        _children[started.pid] = started

    def wait(self) -> None:
        """Waits until it says that it is ready. Raises SystemExit with the end of its log."""
        until = time.monotonic() + START_S
        while self._ready_lines() <= self._said:
            if not self.runs() or time.monotonic() > until:
                raise SystemExit(f"lab: {self.process.name} didn't start; the end of {self.log}:\n{self.last_lines()}")
            time.sleep(POLL_S)

    def command(self, *arguments: str) -> str:
        """What another `freehold` command says there, over the same state. Raises SystemExit with its error."""
        return wires.run(*self._command(*arguments, "--state", str(self.state))).strip()

    def enroll(self, url: str, invitation: str) -> None:
        """Takes up an invitation."""
        self.command("enroll", "--from", url, "--invitation", invitation, "--config", str(self._config))

    def is_enrolled(self) -> bool:
        """Whether it was let in already."""
        return (self.state / "identity").exists()

    def runs(self) -> bool:
        """Whether the process is there."""
        pid = self.pid()
        if pid in _children:
            return _children[pid].poll() is None
        with contextlib.suppress(OSError):
            return bool(pid) and str(self.state) in Path(f"/proc/{pid}/cmdline").read_text()
        return False

    def pid(self) -> int:
        """The process' id; 0 if it was never started."""
        return int(self._pid.read_text()) if self._pid.exists() else 0

    def kill(self) -> None:
        """kill -9, of it alone: guests and servers that it has started run on."""
        if self.runs():
            os.kill(self.pid(), signal.SIGKILL)
        until = time.monotonic() + END_S
        while self.runs():
            if time.monotonic() > until:
                raise SystemExit(f"lab: {self.process.name} doesn't end")
            time.sleep(POLL_S)

    def last_lines(self) -> str:
        """The end of what it said."""
        return "\n".join(self.log.read_text().splitlines()[-20:]) if self.log.exists() else ""

    def _ready_lines(self) -> int:
        return f"\n{self.log.read_text()}".count("\nready ") if self.log.exists() else 0

    def _command(self, *arguments: str) -> tuple[str, ...]:
        # `ip netns exec` gives mounts of its own: the next process wouldn't find the namespaces of the networks.
        enter = f"--net={wires.NAMESPACES / self.machine.namespace}"
        return ("nsenter", enter, sys.executable, "-m", "freehold", *arguments)


_children: dict[int, "subprocess.Popen[bytes]"] = {}
"""Those that this process has started: only who waits for a child sees that it has ended."""


def cut_power(machine: Machine, nested: list[str]) -> None:
    """Everything that runs on a machine ends at once, and what its kernel had is gone; its disk stays. `nested`: the
    namespaces that it had made for its networks.
    """
    for namespace in (machine.namespace, *nested):
        for pid in pids(namespace):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + END_S
    while any(_lives(pid) for namespace in (machine.namespace, *nested) for pid in pids(namespace)):
        if time.monotonic() > until:
            raise SystemExit(f"lab: processes of {machine.name} don't end")
        time.sleep(POLL_S)
    for namespace in nested:
        wires.run("ip", "netns", "del", namespace, check=False)
    wires.unplug(machine)


def pids(namespace: str) -> list[int]:
    """The processes in a namespace."""
    return [int(pid) for pid in wires.run("ip", "netns", "pids", namespace, check=False).split()]


def _lives(pid: int) -> bool:
    if pid in _children:
        return _children[pid].poll() is None
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
