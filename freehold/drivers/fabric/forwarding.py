"""Turning the machine's IPv4 forwarding on without making it a router for strangers. Everything here blocks.

Where forwarding is off, a table that all Freehold hosts of the machine share comes first: it lets through only what
comes from or goes to an uplink of theirs (and what is bridged, which br_netfilter shows here too). That table is also
the note that forwarding was off before, so that the last to go turns it off again. Where forwarding is on already,
nothing is changed: what else the machine routes is its operator's business.
"""

import contextlib
import fcntl
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from freehold.drivers.fabric.names import UPLINK_PREFIX
from freehold.drivers.fabric.nft import run_nft
from freehold.vocabulary.errors import Broken

_SWITCH: Final = Path("/proc/sys/net/ipv4/ip_forward")
_GUARD: Final = "inet freehold_forwarding"

_GUARD_RULES: Final = f"""\
add table {_GUARD}
add chain {_GUARD} strangers {{ type filter hook forward priority -5 ; policy drop ; }}
flush chain {_GUARD} strangers
add rule {_GUARD} strangers iifname "{UPLINK_PREFIX}*" accept
add rule {_GUARD} strangers oifname "{UPLINK_PREFIX}*" accept
add rule {_GUARD} strangers meta iifkind "bridge" meta oifkind "bridge" accept
"""


def allow_forwarding(lock: Path) -> None:
    """Turns forwarding on; only for Freehold's uplinks if it was off. `lock`: a file that the machine's hosts share."""
    with _held(lock):
        if _SWITCH.read_text().strip() != "0":
            return
        run_nft(_GUARD_RULES)
        _SWITCH.write_text("1")


def release_forwarding(lock: Path) -> None:
    """Turns forwarding off again if we turned it on and no uplink of any Freehold host is left on the machine."""
    with _held(lock):
        if any(name.startswith(UPLINK_PREFIX) for _, name in socket.if_nameindex()) or not _guarded():
            return
        _SWITCH.write_text("0")
        run_nft(f"delete table {_GUARD}")


def _guarded() -> bool:
    try:
        run_nft(f"list table {_GUARD}")
    except Broken:
        return False
    return True


@contextlib.contextmanager
def _held(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
