"""A guest without a hypervisor: a namespace whose only interface is joined to a tap of the fabric's, frame by frame.

The programs of the machine (ping, curl, udhcpc) run in it as if they ran in a guest.
"""

import fcntl
import os
import select
import struct
import subprocess
import threading
from pathlib import Path
from types import TracebackType

from freehold.drivers.fabric import namespaces

_TUNSETIFF = 0x400454CA
_TAP_WITHOUT_HEADER = 0x0002 | 0x1000

UDHCPC_SCRIPT = """#!/bin/sh
# Writes what the server said, and takes the address and routes.
if [ "$1" = bound ] || [ "$1" = renew ]; then
  env > "$LEASE_FILE"
  ip addr replace "$ip/$mask" dev "$interface"
  set -- $staticroutes
  while [ -n "$1" ]; do
    if [ "$2" = 0.0.0.0 ]; then via=""; else via="via $2"; fi
    ip route replace "$1" $via dev "$interface"
    shift 2
  done
fi
"""


class TapGuest:
    """Use as a context manager; `name` is at most 10 letters, unique on the machine. `at`: the namespace of the tap."""

    def __init__(self, name: str, tap: str, mac: str, at: str = "") -> None:
        self.namespace = f"guest-{name}-{os.getpid()}"
        self._tap = tap
        self._mac = mac
        self._at = at
        self._stop_reader, self._stop_writer = os.pipe()
        self._ends: tuple[int, int] | None = None
        self._copier = threading.Thread(target=self._copy, name=self.namespace)

    def __enter__(self) -> "TapGuest":
        namespaces.create(self.namespace)
        outer = namespaces.in_namespace(self._at, self._open) if self._at else self._open()
        self._ends = outer, namespaces.in_namespace(self.namespace, lambda: _open_tap("eth0"))
        self.run(f"ip link set lo up; ip link set eth0 address {self._mac}; ip link set eth0 up")
        self._copier.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._stop_writer, b".")
        self._copier.join()
        for descriptor in (*(self._ends or ()), self._stop_reader, self._stop_writer):
            os.close(descriptor)
        namespaces.delete(self.namespace)

    def _open(self) -> int:
        return _open_tap(self._tap)

    def run(self, command: str, timeout_s: float = 30, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Runs a shell command in the guest and gives what came of it."""

        def work() -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                command,
                shell=True,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                env={**os.environ, **environment},
            )

        return namespaces.in_namespace(self.namespace, work)

    def dhcp(self, folder: Path) -> dict[str, str]:
        """Takes an address by DHCP; gives udhcpc's words for what the server said, nothing if none answered."""
        script, lease = folder / "udhcpc.script", folder / f"lease-{self.namespace}"
        script.write_text(UDHCPC_SCRIPT)
        script.chmod(0o755)
        lease.unlink(missing_ok=True)
        options = "-O staticroutes -O mtu -O dns -O hostname"
        self.run(f"busybox udhcpc -i eth0 -n -q -f -t 5 -T 1 {options} -s {script}", LEASE_FILE=str(lease))
        if not lease.exists():
            return {}
        return dict(line.split("=", 1) for line in lease.read_text().splitlines() if "=" in line)

    def address(self, address: str, gateway: str = "", prefix: int = 24) -> None:
        """Takes an address by hand."""
        self.run(f"ip addr replace {address}/{prefix} dev eth0")
        if gateway:
            self.run(f"ip route replace default via {gateway}")

    def pings(self, address: str, count: int = 1, wait_s: int = 1) -> bool:
        """Whether an answer to ping came."""
        return self.run(f"busybox ping -c {count} -W {wait_s} {address}").returncode == 0

    def fetch(self, url: str, *headers: str, wait_s: int = 5) -> tuple[int, str]:
        """Status and body of an HTTP answer; status 0 if there was none."""
        words = "".join(f" -H '{header}'" for header in headers)
        done = self.run(f"curl -s -m {wait_s} --noproxy '*' -w '\\n%{{http_code}}'{words} {url}")
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def _copy(self) -> None:
        assert self._ends is not None
        outer, inner = self._ends
        other = {outer: inner, inner: outer}
        while True:
            ready, _, _ = select.select([outer, inner, self._stop_reader], [], [])
            if self._stop_reader in ready:
                return
            for descriptor in ready:
                try:
                    os.write(other[descriptor], os.read(descriptor, 65_536))
                except OSError:
                    return  # one of the taps has been deleted: the cable is cut


def _open_tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_WITHOUT_HEADER))
    return descriptor
