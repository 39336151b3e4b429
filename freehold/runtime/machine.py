"""What this machine is called, and which start of it this is."""

import os
from pathlib import Path


def boot_id() -> str:
    """A name for this start of the machine: another after a reboot or a power cut."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def host_name() -> str:
    """The machine's name, for people."""
    return os.uname().nodename
