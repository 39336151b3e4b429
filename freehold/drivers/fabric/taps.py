"""Persistent taps: made here, opened later by the hypervisor by name. Everything here blocks."""

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from freehold.vocabulary.errors import Broken

DEVICE: Final = Path("/dev/net/tun")

_TUNSETIFF: Final = 0x400454CA
_TUNSETPERSIST: Final = 0x400454CB
_IFF_TAP: Final = 0x0002
_IFF_NO_PI: Final = 0x1000
_IFF_VNET_HDR: Final = 0x4000


def check_device() -> None:
    """Raises Broken, saying why, if taps can't be made here."""
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise Broken(
            f"{DEVICE} can't be opened ({error.strerror}): load the kernel module tun, and run as root."
        ) from error


def make_tap(name: str) -> None:
    """Makes a persistent tap in the calling thread's network namespace, down and in no bridge. It must not exist."""
    descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
    finally:
        os.close(descriptor)
