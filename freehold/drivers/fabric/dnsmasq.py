"""One dnsmasq process for each network: started, told of changes, found again, stopped. Everything here blocks."""

import grp
import os
import pwd
import select
import shutil
import signal
import subprocess
from pathlib import Path

from freehold.drivers.fabric import namespaces
from freehold.vocabulary.errors import Broken

_START_S = 10.0
_STOP_S = 5.0


class DhcpServer:
    """The DHCP server of one network.

    Its files are outside the state folder, because it reads them without root's rights. After a power cut neither it
    nor they matter.
    """

    def __init__(self, namespace: str, folder: Path) -> None:
        self._namespace = namespace
        self._folder = folder
        self._configuration = folder / "conf"

    def ensure(self, configuration: str, hosts: str) -> None:
        """Makes the server run with this configuration and serve these hosts. Raises Broken if it can't start."""
        self._make_folder()
        gone = set(self._read("hosts").splitlines()) - set(hosts.splitlines())
        reconfigured = self._read("conf") != configuration
        self._write("hosts", hosts)
        process = self.running()
        if process is not None and not gone and not reconfigured:
            _send(process, signal.SIGHUP)
            return
        # A lease of a host that went would keep its address from the next one.
        self.stop()
        self._write("conf", configuration)
        self._start()

    def stop(self) -> None:
        """Ends the server, if it runs, and forgets its leases."""
        process = self.running()
        if process is not None:
            _end(process, self._configuration)
        for name in ("leases", "pid"):
            (self._folder / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Ends the server and deletes its files."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def running(self) -> int | None:
        """The process id of the server. A process counts only if its command line names our configuration."""
        noted = self._read("pid").strip()
        if noted.isdigit() and _serves(int(noted), self._configuration):
            return int(noted)
        # The note may be missing after a crash: a second server beside the first must never be.
        every = (int(name) for name in os.listdir("/proc") if name.isdigit())
        return next((process for process in every if _serves(process, self._configuration)), None)

    def _start(self) -> None:
        command = ["dnsmasq", f"--conf-file={self._configuration}"]

        def run() -> "subprocess.CompletedProcess[bytes]":
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_START_S,
                check=False,
                start_new_session=True,
            )

        # It goes to the background by itself when it serves; so it lives on without us.
        ended = namespaces.in_namespace(self._namespace, run)
        if ended.returncode != 0:
            raise Broken(f"The DHCP server didn't start: {ended.stderr.decode(errors='replace').strip()[:500]}")

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, mode=0o755)
        self._folder.chmod(0o750)
        os.chown(self._folder, -1, _server_group())

    def _read(self, name: str) -> str:
        path = self._folder / name
        return path.read_text() if path.exists() else ""

    def _write(self, name: str, text: str) -> None:
        draft = self._folder / f"{name}.draft"
        draft.write_text(text)
        draft.chmod(0o640)
        os.chown(draft, -1, _server_group())
        draft.rename(self._folder / name)


def server_group_name() -> str:
    """The group that the server runs in: it reads its files as a member."""
    return grp.getgrgid(_server_group()).gr_name


def _server_group() -> int:
    return pwd.getpwnam("nobody").pw_gid


def _serves(process: int, configuration: Path) -> bool:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended
    return words[0].endswith(b"dnsmasq") and f"--conf-file={configuration}".encode() in words


def _send(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return  # it ended meanwhile; the next look will start another


def _end(process: int, configuration: Path) -> None:
    """Ends the process and waits for its end. The descriptor makes sure that it is this one."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        if not _serves(process, configuration):
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(descriptor, number)
            if select.select([descriptor], [], [], _STOP_S)[0]:
                return
        raise Broken(f"The DHCP server (process {process}) doesn't end.")
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
