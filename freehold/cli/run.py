"""Running roles in the foreground."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import uvloop

from freehold import config
from freehold.assemble.running import RoleFailed, Running
from freehold.cli.credentials import Admin, read_admin, write_admin
from freehold.config import Settings
from freehold.runtime import log
from freehold.runtime.clock import Clock, SystemClock
from freehold.runtime.watchdog import LagMeter
from freehold.vocabulary.errors import Broken, FreeholdError

RESTARTS_MAX: Final = 5
RESTARTS_WITHIN_S: Final = 3600.0
"""More than so many in this time, and the process ends: starting again doesn't help."""
FIRST_PAUSE_S: Final = 1.0
"""Before the first; doubled before each further one."""
PAUSE_S_MAX: Final = 60.0
CLOSE_S: Final = 120.0
GC_THRESHOLDS: Final = (10_000, 20, 50)
"""Most of what is made lives as long as a message, and ends without the collector: it looks a tenth as often."""

_log = log.logger("up")


def up(path: Path | None, **given: object) -> None:
    """Runs the roles of the settings until a signal comes. Exits with 1 and a sentence if they can't be started or one
    breaks.
    """
    _run(path, _up, **given)


def bootstrap(path: Path | None, state: Path) -> None:
    """Sets a new admin password."""
    _run(path, _bootstrap, state=state)


def wipe(path: Path | None, state: Path) -> None:
    """Removes every guest of this machine, and all that was made for them."""
    _run(path, _wipe, state=state)


def _run(path: Path | None, work: Callable[[Settings], Coroutine[Any, Any, None]], **given: object) -> None:
    try:
        settings = config.read(path, **given)
        log.configure(level=settings.log_level, json=settings.log_json)
        with asyncio.Runner(loop_factory=_loop_factory(settings)) as runner:
            runner.run(work(settings))
    except FreeholdError as error:
        print(f"freehold: {error.message}", file=sys.stderr)
        raise SystemExit(1) from error
    except KeyboardInterrupt as error:
        raise SystemExit(130) from error


def _loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop, but for a process that is a real host: it can't open the netlink sockets that guest networks are made
    with.
    """
    real_host = settings.hypervisor == "qemu" and "host" in settings.roles
    return None if real_host else uvloop.new_event_loop


async def _up(settings: Settings) -> None:
    gc.set_threshold(*GC_THRESHOLDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    lag = asyncio.create_task(LagMeter(SystemClock()).run(), name="lag")
    try:
        await supervised(stop, lambda: _live(stop, settings), SystemClock())
    finally:
        lag.cancel()


async def supervised(stop: asyncio.Event, live: Callable[[], Coroutine[Any, Any, None]], clock: Clock) -> None:
    """Runs a life of the cloud, and the next one when a role of it has failed or is stuck: what is on disk goes on.

    Raises Broken after too many lives in an hour, and whatever else a life raises: a setting or a store that is wrong
    stays so.
    """
    ended_s: list[float] = []
    while True:
        try:
            return await live()
        except RoleFailed as error:
            now_s = clock.monotonic_s()
            ended_s = [before_s for before_s in ended_s if now_s - before_s < RESTARTS_WITHIN_S] + [now_s]
            if len(ended_s) > RESTARTS_MAX:
                raise
            pause_s = min(FIRST_PAUSE_S * 2 ** (len(ended_s) - 1), PAUSE_S_MAX)
            _log.error("starting again", reason=error.message, restarts=len(ended_s), pause_s=pause_s)
        await _until(stop, _pause(clock, pause_s))
        if stop.is_set():
            return


async def _live(stop: asyncio.Event, settings: Settings) -> None:
    """From opening the roles to the stop signal. Raises RoleFailed if one ends before that."""
    cloud = Running(settings, say)
    try:
        await _until(stop, _open(cloud, settings))
        if not stop.is_set():
            say(f"ready {cloud.url}" if cloud.url else f"ready {' '.join(settings.roles)}")
            await _until(stop, cloud.broken())
    finally:
        await _closed(cloud)


async def _closed(cloud: Running) -> None:
    """Closes it. Raises Broken if that doesn't end: only the end of the process helps then."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await cloud.close()
    except TimeoutError as error:
        raise Broken("what had failed couldn't be closed either; the process ends, start it again") from error


async def _open(cloud: Running, settings: Settings) -> None:
    await cloud.open()
    gc.collect()
    gc.freeze()  # what is there now stays: nobody looks through it again
    if "registrar" not in settings.roles:
        return
    password = cloud.new_password or read_admin(settings.state).password
    admin = Admin(cloud.url or _url(settings), password, settings.region)
    write_admin(settings.state, admin)
    if cloud.url and cloud.new_password is not None:
        from freehold.cli import first_start  # it asks over HTTP, for which most starts needn't load anything

        await first_start.furnish(admin, settings, say)


async def _bootstrap(settings: Settings) -> None:
    from freehold.assemble import offline

    password = await offline.new_admin_password(settings)
    write_admin(settings.state, Admin(_url(settings), password, settings.region))
    say(f"the admin has a new password; it is in {settings.state / 'openrc'}")


def _url(settings: Settings) -> str:
    """Where the API is said to be, by a process that doesn't run it."""
    return settings.public_url or f"http://{settings.listen}:{settings.port}"


async def _wipe(settings: Settings) -> None:
    from freehold.assemble import offline

    guests = await offline.wipe(settings)
    say(f"removed {len(guests)} guests, and every tap, bridge, namespace and rule of this host")


async def _pause(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Waits for `work`, or for the stop signal, which cancels it."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
    elif task.exception() is not None:
        task.result()


def say(line: str) -> None:
    """Tells the operator how far it is."""
    print(line, flush=True)
