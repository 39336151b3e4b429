"""A whole cloud in a process of its own, as an operator starts it: it can be killed, started again and ended."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from freehold.vocabulary.codec import KINDS, decode
from freehold.vocabulary.word import Word

ROOT = Path(__file__).parents[2]
START_S = 60.0
SETTLE_S = 30.0
END_S = 10.0
MIB = 1 << 20

R = TypeVar("R", bound=Word)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the API."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Cloud:
    """`freehold up`, or one role alone, over the folder `state`, always on the same port, with the settings given.

    Calls go out as the admin unless `token` says otherwise, at the latest microversion. They raise
    aiohttp.ClientError where the process doesn't answer.
    """

    def __init__(self, state: Path, role: str = "", **settings: Any) -> None:
        self.state = state
        self._role = role
        self.code = ROOT
        """Where the version of Freehold lies that is started next."""
        self.log = state.with_suffix(".log")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self.process: asyncio.subprocess.Process | None = None
        self._config = state.with_suffix(".toml")
        given = {"state": str(state), "port": self.port} | settings
        self._config.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in given.items()))

    # --- the process -----------------------------------------------------------------------------------------------

    async def launch(self) -> asyncio.subprocess.Process:
        """Starts the process, and doesn't wait for it."""
        role = self._role or "up"
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "freehold", role, "--state", str(self.state), "--config", str(self._config)),
                stdout=log,
                stderr=log,
                cwd=self.code,
                env=os.environ | {"FREEHOLD_CACHE": str(self.state / "no-cache")},
            )
        return self.process

    async def start(self) -> None:
        """Starts the process and waits until it says that it is ready. Signs in, the first time, to a whole cloud."""
        said = self._ready_lines()
        process = await self.launch()

        async def ready() -> bool:
            assert process.returncode is None, f"it ended with {process.returncode}: {self.last_lines()}"
            return self._ready_lines() > said

        await until(ready, START_S, self.last_lines)
        if not self.token and not self._role:
            self.token = await self.sign_in("admin", self.password(), "admin")

    def _ready_lines(self) -> int:
        return self.log.read_text().count("\nready ") if self.log.exists() else 0

    def last_lines(self) -> str:
        """The end of what the process said."""
        return "\n".join(self.log.read_text().splitlines()[-40:])

    async def kill(self) -> None:
        """kill -9."""
        await self.end(signal.SIGKILL)

    async def stop(self) -> int:
        """Asks the process to end and gives its exit code; it has `END_S`."""
        return await self.end(signal.SIGTERM)

    async def end(self, number: signal.Signals) -> int:
        """Sends a signal and waits for the end. Raises TimeoutError, after killing it."""
        assert self.process is not None
        process, self.process = self.process, None
        if process.returncode is None:
            process.send_signal(number)
        try:
            return await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Runs another `freehold` command over the state; gives its exit code and all it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "freehold", *arguments, "--state", str(self.state)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
        )
        said, _ = await asyncio.wait_for(process.communicate(), START_S)
        assert process.returncode is not None
        return process.returncode, said.decode()

    # --- the API ---------------------------------------------------------------------------------------------------

    def password(self) -> str:
        """The admin's password, as the operator finds it."""
        clouds = json.loads((self.state / "clouds.yaml").read_text())
        return str(clouds["clouds"]["freehold"]["auth"]["password"])

    async def call(self, method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> Reply:
        """One call. `headers`: with _ for -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"X-Auth-Token": token or self.token, "OpenStack-API-Version": "compute 2.96"}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/octet-stream" if data is body else "application/json")
        timeout = aiohttp.ClientTimeout(total=20)
        async with (
            aiohttp.ClientSession(self.url, timeout=timeout) as session,
            session.request(method, path, data=data, headers=sent) as answer,
        ):
            return Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read())

    async def get(self, path: str, *, token: str = "") -> Any:
        """The body of a GET that must succeed."""
        return await self.well("GET", path, token=token)

    async def well(self, method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> Any:
        """The body of an answer that must be a success."""
        reply = await self.call(method, path, body, token=token, **headers)
        assert reply.status < 300, f"{method} {path}: {reply.status} {reply.body!r}"
        return reply.json if reply.body and "json" in reply.headers["content-type"] else reply.body

    async def sign_in(self, user: str, password: str, project: str) -> str:
        """A token for a project."""
        who = {"name": user, "domain": {"id": "default"}, "password": password}
        identity = {"methods": ["password"], "password": {"user": who}}
        scope = {"project": {"name": project, "domain": {"id": "default"}}}
        reply = await self.call("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        assert reply.status == 201, reply.body
        return reply.headers["x-subject-token"]

    async def newcomer(self, name: str) -> str:
        """The token of a new member of a new project, both called `name`."""
        project = (await self.well("POST", "/identity/v3/projects", {"project": {"name": name}}))["project"]["id"]
        someone = {"user": {"name": name, "password": "correct horse"}}
        user = (await self.well("POST", "/identity/v3/users", someone))["user"]["id"]
        role = (await self.get("/identity/v3/roles?name=member"))["roles"][0]["id"]
        await self.well("PUT", f"/identity/v3/projects/{project}/users/{user}/roles/{role}")
        return await self.sign_in(name, "correct horse", name)

    async def new_image(self, content: bytes | None = None, name: str = "small") -> str:
        """Uploads an image (of zeros, unless told otherwise) that everybody may use; gives its id."""
        record = {
            "name": name,
            "disk_format": "qcow2" if (content or b"").startswith(b"QFI\xfb") else "raw",
            "container_format": "bare",
            "visibility": "public",
        }
        image = (await self.well("POST", "/image/v2/images", record))["id"]
        await self.well("PUT", f"/image/v2/images/{image}/file", content or bytes(MIB))
        return str(image)

    async def network(self) -> str:
        """The id of the network that the cloud has started with."""
        return str((await self.get("/network/v2.0/networks?name=default"))["networks"][0]["id"])

    async def create(
        self, name: str, image: str, network: str, *, flavor: str = "1", token: str = "", key: str = "", **more: Any
    ) -> Reply:
        """POST /servers."""
        server = {"name": name, "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": network}]} | more
        headers = {"Idempotency_Key": key} if key else {}
        return await self.call("POST", "/compute/v2.1/servers", {"server": server}, token=token, **headers)

    async def created(self, name: str, image: str, network: str, **more: Any) -> str:
        """The id of a guest that was admitted."""
        reply = await self.create(name, image, network, **more)
        assert reply.status == 202, reply.body
        return str(reply.json["server"]["id"])

    async def server(self, guest: str, *, token: str = "") -> Any:
        """A guest, as it is shown."""
        return (await self.get(f"/compute/v2.1/servers/{guest}", token=token))["server"]

    async def servers(self, *, token: str = "") -> list[Any]:
        """All guests of the caller's project, in detail."""
        return list((await self.get("/compute/v2.1/servers/detail", token=token))["servers"])

    async def act(self, guest: str, action: str, body: Any = None) -> Reply:
        """POST /servers/ID/action."""
        return await self.call("POST", f"/compute/v2.1/servers/{guest}/action", {action: body})

    async def becomes(self, guest: str, status: str, within_s: float = SETTLE_S) -> Any:
        """Waits until a guest is shown as `status`, and gives it."""
        shown: dict[str, Any] = {}

        async def so() -> bool:
            shown.update(await self.server(guest))
            return bool(shown["status"] == status)

        await until(so, within_s, lambda: f"{guest} should be {status}, and is {shown}\n{self.last_lines()}")
        return shown

    async def goes(self, guest: str, within_s: float = SETTLE_S) -> None:
        """Waits until a guest isn't shown any more."""

        async def gone() -> bool:
            return (await self.call("GET", f"/compute/v2.1/servers/{guest}")).status == 404

        await until(gone, within_s, self.last_lines)

    # --- what the owners have on disk ------------------------------------------------------------------------------

    def rows(self, store: str, shape: type[R]) -> list[R]:
        """The records of a kind in a store, such as `hosts/0`, read beside whoever has it open."""
        kind = next(kind for kind, known in KINDS.items() if known is shape)
        connection = sqlite3.connect(self.state / f"{store}.db")
        try:
            found = connection.execute("SELECT value FROM rows WHERE kind = ?", (kind,)).fetchall()
        finally:
            connection.close()
        return [decode(value, shape) for (value,) in found]

    def host_rows(self, shape: type[R]) -> list[tuple[str, R]]:
        """The records of a kind in all hosts' stores, each with the host's number."""
        numbers = sorted(path.stem for path in (self.state / "hosts").glob("*.db"))
        return [(number, row) for number in numbers for row in self.rows(f"hosts/{number}", shape)]


def _toml(value: Any) -> str:
    """A value as a settings file has it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name} = {_toml(one)}' for name, one in value.items())}}}"
    return json.dumps(value)


@contextlib.asynccontextmanager
async def cloud(state: Path, **settings: Any) -> AsyncIterator[Cloud]:
    """A cloud that answers; its process is gone afterwards, whatever happens."""
    running = Cloud(state, **settings)
    try:
        await running.start()
        yield running
    finally:
        if running.process is not None:
            await running.kill()


def simulated(folder: Path, **settings: Any) -> contextlib.AbstractAsyncContextManager[Cloud]:
    """A cloud of simulated hosts."""
    return cloud(folder / "cloud", **{"hypervisor": "simulated", "hosts": 2, "log_level": "warning"} | settings)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(holds: Callable[[], Awaitable[bool]], within_s: float, tell: Callable[[], str] = str) -> None:
    """Waits until `holds`. Raises AssertionError with what `tell` says."""
    try:
        async with asyncio.timeout(within_s):
            while not await holds():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s. {tell()}") from None
