"""Real servers for backups, from Debian's and PyPI's packages, each in a folder of its own, on a port of its own.

A server that isn't installed is a skip on a developer's machine, and a failure where CI is set.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "p@ss/word:%41"
START_S_MAX = 30.0
ROOT = Path(__file__).parent.parent


class Server:
    """A server's process, its URL as the setting `backup` has it, and the file of secrets."""

    def __init__(self, kind: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"freehold-{kind}-"))
        self.port = free_port()
        self.secrets = self.folder / "secrets.toml"
        self.secrets.write_text(f'password = "{PASSWORD}"\n')
        self.secrets.chmod(0o600)
        self.url = ""
        self._command: list[str] = []
        self._user: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, *command: str, user: str | None = None, answers: Callable[[], object]) -> None:
        """Starts it and waits until it answers."""
        self._command, self._user, self._answers = list(command), user, answers
        self.start()

    def start(self) -> None:
        """Starts it again, over what it has kept."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, user=self._user, stdout=log, stderr=log, cwd=self.folder, env=self._environment()
            )
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                self._answers()
                return
            except Exception as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise RuntimeError(f"{self._command[0]}: {(self.folder / 'log').read_text()[-2000:]}") from error
                time.sleep(0.05)

    @staticmethod
    def _environment() -> dict[str, str]:
        return {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LC_ALL": "C", "HOME": "/nonexistent"}

    def kill(self) -> None:
        """kill -9, of what it has started too, and waits until all of it is gone."""
        if self._process is None:
            return
        pids = self._pids() if self._process.poll() is None else []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        while any(_lives(pid) for pid in pids):
            time.sleep(0.01)

    def freeze(self) -> None:
        """It takes connections, and answers nothing."""
        self._tell(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._tell(signal.SIGCONT)

    def _tell(self, number: signal.Signals) -> None:
        """Sends a signal to its process and to those that this one has started."""
        for pid in self._pids():
            os.kill(pid, number)

    def _pids(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def close(self) -> None:
        """Takes it and what it kept away."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    """Whether a process is there, and isn't a dead one that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def program(*names: str) -> str:
    """The first of some programs that is there."""
    folders = f"{ROOT / '.venv' / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    for name in names:
        found = shutil.which(name, path=folders)
        if found:
            return found
    if os.environ.get("CI"):
        pytest.fail(f"{names[0]} isn't installed: scripts/setup brings it")
    return pytest.skip(f"{names[0]} isn't installed")


def redis() -> Server:
    """Redis, which Debian's redis-tools bring under another name."""
    found = program("redis-server", "redis-check-rdb")
    server = Server("redis")
    started = server.folder / "redis-server"
    started.symlink_to(found)
    client: Any = pytest.importorskip("redis").Redis(port=server.port, password=PASSWORD)
    options = {"port": server.port, "bind": "127.0.0.1", "requirepass": PASSWORD, "dir": server.folder}
    options |= {"appendonly": "yes", "appendfsync": "always", "save": ""}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    server.run(str(started), *words, answers=client.ping)
    server.url = f"redis://127.0.0.1:{server.port}/2"
    return server


def mariadb() -> Server:
    """MariaDB, as root of its own."""
    daemon, install = program("mariadbd", "mysqld"), program("mariadb-install-db")
    server = Server("mariadb")
    data, door = server.folder / "data", server.folder / "door"
    quiet = {"stdout": subprocess.DEVNULL, "check": True, "env": server._environment()}
    command = [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    subprocess.run([*command, "--skip-test-db", f"--user={os.environ.get('USER', 'root')}"], **quiet)  # type: ignore[call-overload]
    pymysql: Any = pytest.importorskip("pymysql")

    def answers() -> None:
        with pymysql.connect(unix_socket=str(door), user="root") as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE DATABASE IF NOT EXISTS backups")
            cursor.execute(f"CREATE USER IF NOT EXISTS 'freehold'@'%' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute("GRANT ALL ON backups.* TO 'freehold'@'%'")

    words = [f"--datadir={data}", f"--socket={door}", f"--port={server.port}", "--bind-address=127.0.0.1"]
    words += ["--innodb-buffer-pool-size=16M", f"--pid-file={server.folder / 'pid'}"]
    words += ["--user=root"] if os.geteuid() == 0 else []
    server.run(daemon, "--no-defaults", *words, answers=answers)
    server.url = f"mysql://freehold@127.0.0.1:{server.port}/backups"
    return server


def postgresql() -> Server:
    """PostgreSQL, which doesn't run as root."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    own = ROOT / ".venv" / "postgresql"
    server = Server("postgresql")
    if not found and own.exists():
        shutil.copytree(own, server.folder / "program", symlinks=True)  # where another user can run it
        found = sorted((server.folder / "program/usr/lib/postgresql").glob("*/bin/postgres"))
    programs = found[-1].parent if found else Path(program("postgres")).resolve().parent
    user = "nobody" if os.geteuid() == 0 else None
    data = server.folder / "data"
    (server.folder / "password").write_text(PASSWORD)
    if user:
        for path in (server.folder, server.folder / "password"):
            shutil.chown(path, user)
    options = ["-U", "freehold", "--auth=scram-sha-256", "--pwfile", str(server.folder / "password"), "--no-sync"]
    subprocess.run(
        [programs / "initdb", "-D", data, "-E", "UTF8", "--locale=C", *options],
        user=user, check=True, stdout=subprocess.DEVNULL, env=server._environment(), cwd=server.folder,
    )  # fmt: skip
    psycopg: Any = pytest.importorskip("psycopg")

    def answers() -> None:
        psycopg.connect(
            host="127.0.0.1", port=server.port, user="freehold", password=PASSWORD, dbname="postgres", connect_timeout=5
        ).close()

    words = ["-D", str(data), "-p", str(server.port), "-h", "127.0.0.1", "-k", str(server.folder)]
    server.run(str(programs / "postgres"), *words, "-c", "shared_buffers=16MB", user=user, answers=answers)
    server.url = f"postgresql://freehold@127.0.0.1:{server.port}/postgres"
    return server


def s3() -> Server:
    """Moto's S3. It keeps nothing when it ends."""
    pytest.importorskip("moto")
    server = Server("s3")
    server.secrets.write_text(f'access_key_id = "key"\nsecret_access_key = "{PASSWORD}"\n')
    url = f"http://127.0.0.1:{server.port}"

    def answers() -> None:
        boto3: Any = pytest.importorskip("boto3")
        client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id="key", aws_secret_access_key="x", region_name="us-east-1"
        )
        client.create_bucket(Bucket="backups")

    server.run(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(server.port), answers=answers)
    server.url = f"s3://backups/some/cloud?endpoint={url}&region=us-east-1"
    return server


SERVERS: dict[str, Callable[[], Server]] = {"s3": s3, "postgresql": postgresql, "mysql": mariadb, "redis": redis}
