"""What makes a machine fit or unfit for its roles: each rule judges what was found. Touches nothing."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from freehold.cli.check.finding import Finding, ok, warning, wrong
from freehold.config import ROLES, Settings, bus_servers
from freehold.drivers.hypervisor.interface import Facts
from freehold.runtime.survey import Folder
from freehold.vocabulary.machine import Passport
from freehold.vocabulary.units import GIB

PYTHON_MIN: Final = (3, 11)
SQLITE_MIN: Final = (3, 35, 0)
FREE_MIN_BYTES: Final = GIB
FREE_WANTED_BYTES: Final = 10 * GIB
OPEN_FILES_MIN: Final = 1024
OPEN_FILES_WANTED: Final = 16_384
"""A connection of a client, a guest's monitor, console and process each take one."""
CERTIFICATE_WANTED_MS: Final = 14 * 24 * 3600 * 1000
OPTIONAL: Final = frozenset({"volume", "notifier"})
"""A cloud does without them."""
OWNERS: Final = frozenset({"directory", "registrar", "image", "network", "volume", "host", "notifier"})

FORGETS: Final = frozenset({"tmpfs", "ramfs", "overlay"})
"""What is in memory alone, or goes with a container."""
SHARED: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "glusterfs", "fuse.sshfs", "fuse.glusterfs"})
"""Over a network: SQLite's log in shared memory and its locks don't hold there."""
UNSAFE_OPTIONS: Final = frozenset({"nobarrier", "barrier=0", "data=writeback", "nodurability"})


# --- the program and the machine ---------------------------------------------------------------------------------


def python(version: tuple[int, ...]) -> Finding:
    """The interpreter."""
    what = f"Python is {_dotted(version)}."
    if version < PYTHON_MIN:
        return wrong("python", what, f"Install Python {_dotted(PYTHON_MIN)} or newer.")
    return ok("python", what)


def sqlite(version: tuple[int, ...]) -> Finding:
    """The library under every store."""
    what = f"SQLite is {_dotted(version)}."
    if version < SQLITE_MIN:
        return wrong("sqlite", what, f"Use a Python whose SQLite is {_dotted(SQLITE_MIN)} or newer.")
    return ok("sqlite", what)


def open_files(limit: int) -> Finding:
    """How many files a process may open, of those started as this one was."""
    what = f"A process may open {limit} files."
    mend = f"Raise it to {OPEN_FILES_WANTED} (LimitNOFILE= in its unit, or ulimit -n)."
    if limit < OPEN_FILES_MIN:
        return wrong("open files", what, mend)
    return warning("open files", what, mend) if limit < OPEN_FILES_WANTED else ok("open files", what)


def clock(kept: bool | None) -> Finding:
    """Whether time is kept: logs are read by it, and passports end by it."""
    if kept is None:
        return warning(
            "clock", "The kernel doesn't say whether the clock is kept right.", "Run chrony or another NTP client."
        )
    if not kept:
        return warning(
            "clock", "Nobody keeps this machine's clock right.", "Install and start chrony, or systemd-timesyncd."
        )
    return ok("clock", "The clock is kept right.")


def overcommit(setting: str) -> Finding:
    """Whether guests' memory can be had when they start."""
    if setting == "2":
        return warning(
            "memory",
            "The kernel promises no more memory than there is (vm.overcommit_memory is 2): guests may not start.",
            "Run `sysctl vm.overcommit_memory=0`; what guests may take is counted by the host itself.",
        )
    return ok("memory", "Memory is given to guests as the host counts it.")


# --- the state folder --------------------------------------------------------------------------------------------


def state_folder(wanted: Path, found: Folder, user: int) -> Finding:
    """Whether the folder is this user's own."""
    if not found.writable:
        return wrong(
            "state folder",
            f"{found.path} can't be written by this user.",
            f"Run as its owner, or `chown` it for {user}.",
        )
    if not found.exists:
        return ok("state folder", f"{wanted} will be made.")
    if found.owner != user:
        return warning(
            "state folder",
            f"{wanted} belongs to user {found.owner}, and this is {user}.",
            f"`chown -R {user} {wanted}`",
        )
    if found.mode & 0o077:
        return wrong(
            "state folder",
            f"{wanted} is open to others (mode {found.mode:o}): passwords and keys are in it.",
            f"`chmod 700 {wanted}`",
        )
    return ok("state folder", f"{wanted} is this user's own.")


def durable(found: Folder) -> Finding:
    """Whether what was written stays."""
    kind, mend = found.file_system, "Put the state folder on a local disk: ext4, XFS, btrfs or ZFS."
    if kind in FORGETS:
        return wrong("file system", f"{found.path} is on {kind}: it is gone when the machine or container is.", mend)
    if kind in SHARED or kind.startswith("nfs"):
        return wrong(
            "file system", f"{found.path} is on {kind}: a store's locks and its log don't hold over a network.", mend
        )
    unsafe = sorted(found.options & UNSAFE_OPTIONS)
    if unsafe:
        return wrong(
            "file system",
            f"{found.path} is mounted with {', '.join(unsafe)}: what was promised is lost by a power cut.",
            "Mount it without.",
        )
    if "ro" in found.options:
        return wrong(
            "file system",
            f"{found.path} is mounted read-only.",
            "Mount it for writing; see the kernel's log for why it isn't.",
        )
    return ok("file system", f"{found.path} is on {kind}.")


def free_space(found: Folder) -> Finding:
    """Room for stores, images and guests."""
    what = f"{found.path} has {found.free_bytes / GIB:.1f} GiB free."
    mend = "Make room, or put the state folder on a larger disk."
    if found.free_bytes < FREE_MIN_BYTES:
        return wrong("free space", what, mend)
    return warning("free space", what, mend) if found.free_bytes < FREE_WANTED_BYTES else ok("free space", what)


def one_process(state: Path, running: Iterable[str]) -> Finding:
    """Whether a worker runs over the folder already: a second one would be refused."""
    held = sorted(running)
    if held:
        return ok("one process", f"A process runs over {state} ({', '.join(held)}); a second one would be refused.")
    return ok("one process", f"No process runs over {state}.")


def secret_file(path: Path, mode: int | None) -> Finding | None:
    """Whether others can read what is for one user alone; None if it isn't there."""
    if mode is None:
        return None
    if mode & 0o077:
        return wrong(
            "secrets",
            f"{path} can be read by others (mode {mode:o}).",
            f"`chmod 600 {path}`, and take what was in it for known.",
        )
    return ok("secrets", f"{path} is for its owner alone.")


def named_secret(setting: str, path: Path, mode: int | None) -> Finding:
    """The same of a file that a setting names, which must be there."""
    return secret_file(path, mode) or wrong(
        "secrets", f"{setting} names {path}, which this user doesn't find.", "Make it, for the worker's user alone."
    )


def image_store(trouble: str) -> Finding:
    """Whether the place for images can be used."""
    if trouble:
        return wrong("image store", trouble, "See docs/operate/images.md.")
    return ok("image store", "The place for images answers.")


# --- what others reach -------------------------------------------------------------------------------------------


def port(name: str, address: str, number: int, trouble: str, running: bool) -> Finding:
    """Whether a port can be listened on."""
    check, where = f"port {name}", f"{address}:{number}"
    if not trouble:
        return ok(check, f"{where} is free.")
    if running:
        return ok(check, f"{where} is taken ({trouble}): by the process that runs over this folder, it seems.")
    return wrong(
        check,
        f"{where} can't be listened on: {trouble}.",
        f"End who has it (`ss -ltnp`), or choose another address or port for {name}.",
    )


def plain_api(settings: Settings) -> Finding:
    """Whether passwords and tokens travel in clear."""
    if is_local(settings.listen):
        return ok("api address", f"The API listens on {settings.listen}, for this machine alone.")
    if urlsplit(settings.public_url).scheme == "https":
        return ok(
            "api address",
            f"Clients reach the API at {settings.public_url}; keep {settings.listen} for the proxy alone.",
        )
    return warning(
        "api address",
        f"The API listens on {settings.listen} without TLS: passwords and tokens travel in clear.",
        "Put a proxy with TLS before it, and set public_url to its https:// address.",
    )


def backup(settings: Settings) -> Finding:
    """Whether what is owned here is kept anywhere else."""
    owned = sorted(OWNERS & set(settings.roles))
    if settings.backup and not settings.backup_encryption:
        return warning(
            "backup",
            f"Stores are backed up to {settings.backup} without encryption: passwords' hashes and keys are in them.",
            "Take backup_encryption out of the settings; what is there in plain is deleted then.",
        )
    if settings.backup:
        return ok("backup", f"Stores are backed up to {settings.backup}, encrypted. Have a copy of the key elsewhere.")
    return warning(
        "backup",
        f"What this machine owns ({', '.join(owned)}) is backed up nowhere.",
        "Set backup to folder:/PATH on another disk, or to a server: docs/operate/backup.md.",
    )


# --- the bus -----------------------------------------------------------------------------------------------------


def bus_needed(settings: Settings) -> Finding:
    """Whether the roles that aren't here can be heard."""
    missing = [role for role in ROLES if role not in settings.roles and role not in OPTIONAL]
    if bus_servers(settings.bus):
        return ok("bus", f"The bus is {settings.bus}.")
    if missing:
        return wrong(
            "bus",
            f"The bus is local, and {', '.join(missing)} don't run here: nobody could be asked.",
            "Set bus to your NATS servers.",
        )
    return ok("bus", "All roles are in one process, and need no bus.")


def bus_secured(settings: Settings) -> Finding:
    """Whether what is said can be read on the way."""
    plain = [
        s for s in bus_servers(settings.bus) if s.startswith("nats://") and not is_local(urlsplit(s).hostname or "")
    ]
    if plain:
        return wrong(
            "bus TLS",
            f"The bus at {', '.join(plain)} is without TLS: whoever is on the way can read it.",
            "Give it certificates, and say tls://.",
        )
    return ok("bus TLS", "The bus is this machine's own, or has TLS.")


def bus_reached(server: str, trouble: str) -> Finding:
    """Whether a server answers."""
    if server:
        return ok("bus reached", f"Connected to {server}.")
    return wrong(
        "bus reached",
        f"No server of the bus takes a connection: {trouble}.",
        "See docs/operate/bus.md: is it up, and do both sides trust each other's certificates?",
    )


def certificate(path: Path, ends_ms: int, now_ms: int) -> Finding:
    """How long a certificate holds."""
    days = (ends_ms - now_ms) / 86_400_000
    if days <= 0:
        return wrong(
            "certificates",
            f"{path} ended {-days:.0f} days ago.",
            "Make a new one; the connections that are up end with the next start.",
        )
    what = f"{path} holds for {days:.0f} days."
    if ends_ms - now_ms < CERTIFICATE_WANTED_MS:
        return warning("certificates", what, "Make a new one.")
    return ok("certificates", what)


def passport(known: Passport | None, settings: Settings, now_ms: int) -> Finding:
    """Whether the others will hear this machine."""
    if known is None:
        if "directory" in settings.roles:
            return ok("passport", "The directory lets its own machine in.")
        return warning(
            "passport",
            "This machine has no passport: it speaks unsigned, and a signed cloud doesn't hear it.",
            "`freehold machine invite`, then `freehold enroll`.",
        )
    left_ms, life_ms = known.expires_ms - now_ms, known.expires_ms - known.issued_ms
    missing = sorted(set(settings.roles) - set(known.roles))
    if missing:
        return wrong(
            "passport",
            f"The passport of {known.name} isn't for {', '.join(missing)}.",
            "Invite this machine again, with all of its roles.",
        )
    if left_ms <= 0:
        return wrong(
            "passport",
            f"The passport of {known.name} ended {-left_ms / 3_600_000:.0f} hours ago.",
            "Invite this machine again.",
        )
    what = f"The passport of {known.name} holds for {left_ms / 3_600_000:.0f} hours."
    if 3 * left_ms < life_ms:
        return warning(
            "passport", what + " It should have been renewed by now.", "Is the directory up, and heard here?"
        )
    return ok("passport", what)


# --- a host ------------------------------------------------------------------------------------------------------


def hypervisor(found: Facts | str) -> Finding:
    """What guests run with; or, as a string, why they can't."""
    if isinstance(found, str):
        return wrong("hypervisor", found, "Install QEMU (Debian: qemu-system-x86, qemu-utils).")
    what = f"{found.driver} {found.version} with {found.accelerator}: {found.reason}"
    if found.accelerator == "tcg":
        return warning(
            "hypervisor",
            what,
            "Enable virtualisation in the firmware (or nested virtualisation), and put this user into the group kvm.",
        )
    return ok("hypervisor", what)


def fabric(trouble: str) -> Finding:
    """Whether guest networks can be made."""
    if trouble:
        return wrong("guest network", trouble, "See docs/operate/install.md for what a host needs.")
    return ok("guest network", "Taps, bridges, namespaces and rules can be made.")


# --- how it is started -------------------------------------------------------------------------------------------


def unit(systemd: bool, texts: Mapping[str, str], roles: Iterable[str]) -> Finding:
    """Whether somebody starts it again, and leaves its guests alone."""
    if not systemd:
        return warning(
            "unit",
            "systemd doesn't run here.",
            "Let another supervisor start it again when it ends, and end its first process alone.",
        )
    if not texts:
        return warning(
            "unit",
            "No unit starts Freehold with the machine.",
            "Install those of packaging/systemd: docs/operate/install.md.",
        )
    killers = [name for name, text in texts.items() if "host" in name and setting(text, "KillMode") != "process"]
    if "host" in set(roles) and killers:
        return wrong(
            "unit",
            f"{', '.join(sorted(killers))} would end every guest with the worker.",
            "Set KillMode=process in it.",
        )
    return ok("unit", f"Started by {', '.join(sorted(texts))}.")


def setting(text: str, name: str) -> str:
    """The last value of a setting in a unit's text."""
    values = [line.partition("=")[2].strip() for line in text.splitlines() if line.partition("=")[0].strip() == name]
    return values[-1] if values else ""


def is_local(address: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
