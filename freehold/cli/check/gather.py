"""Looks at the machine, and has each rule judge what was found. Changes nothing that stays."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from freehold.assemble import machine as machines
from freehold.bus import passports
from freehold.bus.connect import connected
from freehold.bus.passports import Identity
from freehold.cli.check import rules
from freehold.cli.check.finding import Finding, wrong
from freehold.config import Settings, bus_servers, store_files
from freehold.drivers.hypervisor.interface import Facts
from freehold.runtime import survey
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import SystemClock
from freehold.runtime.keys import SigningKey
from freehold.runtime.machine import host_name
from freehold.runtime.tasks import offload_inline
from freehold.store.identity import read_identity
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.machine import Passport

SECRETS: Final = ("identity", "openrc", "clouds.yaml")
SECRET_SETTINGS: Final = ("backup_secret_file", "image_store_secret_file")
UNITS: Final = ("freehold-host.service", "freehold-control.service", "freehold.service")
PROBE_S: Final = 60.0


async def findings(settings: Settings) -> list[Finding]:
    """All that this machine's roles need, in the order in which one would mend it."""
    found = [*_machine(), *_state(settings), *_reached(settings), *await _images(settings), rules.bus_needed(settings)]
    if bus_servers(settings.bus):
        found += await _bus(settings)
    if "host" in settings.roles and settings.hypervisor == "qemu":
        found += await _host(settings)
    return [*found, _unit(settings)]


def _machine() -> Iterator[Finding]:
    yield rules.python(survey.python_version())
    yield rules.sqlite(survey.sqlite_version())
    yield rules.open_files(survey.open_files_max())
    yield rules.clock(survey.clock_is_kept())


def _state(settings: Settings) -> Iterator[Finding]:
    folder = survey.folder(settings.state)
    yield rules.state_folder(settings.state, folder, survey.user())
    if rules.OWNERS & set(settings.roles):
        yield rules.durable(folder)
        yield rules.backup(settings)
    yield rules.free_space(folder)
    yield rules.one_process(settings.state, _running(settings))
    keys = [settings.bus_key] if settings.bus_key is not None else []
    for path in (*(settings.state / name for name in SECRETS), *keys):
        finding = rules.secret_file(path, _mode(path))
        if finding is not None:
            yield finding
    for name in SECRET_SETTINGS:
        if (named := getattr(settings, name)) is not None:
            yield rules.named_secret(name, named, _mode(named))


def _running(settings: Settings) -> list[str]:
    """The stores that a process holds."""
    return [name for name in store_files(settings) if survey.is_locked(settings.state / f"{name}.lock")]


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return None


def _reached(settings: Settings) -> Iterator[Finding]:
    running = bool(_running(settings))
    if "api" in settings.roles:
        yield rules.plain_api(settings)
        for number in range(settings.apis if settings.port else 0):
            yield _port("the API", settings.listen, settings.port + number, running)
    if "image" in settings.roles:
        for number in range(settings.image_workers if settings.image_port else 0):
            yield _port("image bytes", settings.image_listen, settings.image_port + number, running)


def _port(name: str, address: str, number: int, running: bool) -> Finding:
    return rules.port(name, address, number, survey.is_free(address, number), running)


async def _images(settings: Settings) -> list[Finding]:
    if "image" not in settings.roles or not settings.image_store:
        return []
    from freehold.assemble.image_place import image_place_trouble  # what it loads, only image workers have need of

    try:
        async with asyncio.timeout(PROBE_S):
            trouble = await image_place_trouble(settings)
    except TimeoutError:
        trouble = f"The place for images hasn't answered within {PROBE_S:g} s."
    return [rules.image_store(trouble)]


async def _bus(settings: Settings) -> list[Finding]:
    now_ms = SystemClock().unix_ms()
    found = [rules.bus_secured(settings)]
    files = [path for path in (settings.bus_ca, settings.bus_certificate) if path is not None]
    found += [finding for path in files for finding in _certificates(path, now_ms)]
    try:
        found.append(rules.passport(_passport(settings), settings, now_ms))
    except FreeholdError as error:
        found.append(wrong("passport", error.message, "Remove it, and enroll this machine again."))
    return [*found, await _bus_reached(settings)]


def _certificates(path: Path, now_ms: int) -> Iterator[Finding]:
    try:
        for one in x509.load_pem_x509_certificates(path.read_bytes()):
            yield rules.certificate(path, int(one.not_valid_after_utc.timestamp() * 1000), now_ms)
    except (OSError, ValueError) as error:
        yield wrong("certificates", f"{path} can't be read: {error}.", "Put certificates in PEM there.")


def _passport(settings: Settings) -> Passport | None:
    kept = read_identity(settings.state)
    return None if kept is None else passports.opened_passport(kept.passport, kept.authority)


def _known_by(settings: Settings) -> tuple[Identity | None, Passport | None]:
    """What this machine shows a server of the bus; nothing if it has nothing that is whole, which is found beside."""
    try:
        kept, passport = read_identity(settings.state), _passport(settings)
    except FreeholdError:
        return None, None
    if kept is None:
        return None, None
    return Identity(kept.passport, SigningKey(bytes.fromhex(kept.key.reveal())), kept.ticket), passport


async def _bus_reached(settings: Settings) -> Finding:
    said: list[str] = []
    try:
        known = _known_by(settings)
        bus = await connected(settings, host_name(), SystemClock(), SystemChance(), said.append, *known)
    except FreeholdError as error:
        return rules.bus_reached("", error.message)
    server = bus.server
    await bus.close()
    return rules.bus_reached(server, "none within some seconds")


async def _host(settings: Settings) -> list[Finding]:
    found = [rules.overcommit(survey.kernel_setting("vm/overcommit_memory"))]
    with tempfile.TemporaryDirectory(prefix="freehold-check-") as scratch:
        hypervisor, fabric = machines.machine(settings, Path(scratch), machines.SOME_HOST, offload_inline)
        facts: Facts | str
        try:
            async with asyncio.timeout(PROBE_S):
                facts = await hypervisor.probe()
        except FreeholdError as error:
            facts = error.message
        except TimeoutError:
            facts = f"QEMU hasn't booted anything within {PROBE_S:g} s."
        trouble = ""
        try:
            await fabric.probe()
        except FreeholdError as error:
            trouble = error.message
        await hypervisor.close()
        await fabric.close()
    return [*found, rules.hypervisor(facts), rules.fabric(trouble)]


def _unit(settings: Settings) -> Finding:
    return rules.unit(survey.has_systemd(), survey.units(UNITS), settings.roles)
