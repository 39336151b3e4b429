"""Backups in a table of PostgreSQL, MySQL or MariaDB, by SQLAlchemy: `freehold_backup`, which is made if it is missing.

Drivers block: they have threads of their own, so that nothing else waits behind a server that hangs, and a connection
on which nothing comes is cut.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from freehold.drivers.backup.objects import CONNECT_S_MAX, REQUEST_S_MAX, Objects, missing, refused
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import BadRequest, NoRoom
from freehold.vocabulary.place import Place
from freehold.vocabulary.secret import Secret

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

T = TypeVar("T")

CONNECTIONS_MAX: Final = 4
"""Of one process, for all of its stores."""
CONTENT_BYTES_MAX: Final = 1 << 30
_FULL: Final = frozenset({"53100", "1021", "1114"})
"""PostgreSQL's and MySQL's numbers for a disk or a table that is full."""
_NOW: Final = {"postgresql": "extract(epoch from clock_timestamp())", "mysql": "unix_timestamp(now(6))"}


class SqlObjects:
    """See Objects."""

    def __init__(self, engine: "Engine", shown: str, password: Secret) -> None:
        import sqlalchemy

        self._sql, self._engine, self._shown, self._password = sqlalchemy, engine, shown, password
        self._offload = ThreadOffload(CONNECTIONS_MAX, "backup")
        self._table: Table = _table()
        self._now: Any = sqlalchemy.literal_column(_NOW[engine.dialect.name])
        self._made = False

    async def folders(self) -> list[str]:
        """See Objects."""
        wanted = self._sql.select(self._table.c.folder).distinct()
        return await self._do(lambda connection: list(connection.scalars(wanted)))

    async def names(self, folder: str) -> list[str]:
        """See Objects."""
        wanted = self._sql.select(self._table.c.name).where(self._table.c.folder == folder)
        return await self._do(lambda connection: list(connection.scalars(wanted)))

    async def create(self, folder: str, name: str, content: bytes) -> bool:
        """See Objects."""
        row = self._sql.insert(self._table).values(folder=folder, name=name, content=content, written=self._now)
        try:
            await self._do(lambda connection: connection.execute(row))
        except self._sql.exc.IntegrityError:
            return False
        return True

    async def put(self, folder: str, name: str, content: bytes) -> None:
        """See Objects."""
        there = self._sql.update(self._table).where(*self._is(folder, name)).values(content=content, written=self._now)
        found = await self._do(lambda connection: connection.execute(there).rowcount)
        if not found and not await self.create(folder, name, content):
            await self.put(folder, name, content)

    async def read(self, folder: str, name: str) -> bytes | None:
        """See Objects."""
        wanted = self._sql.select(self._table.c.content).where(*self._is(folder, name))
        found = await self._do(lambda connection: connection.scalar(wanted))
        return None if found is None else bytes(found)

    async def has(self, folder: str, name: str) -> bool:
        """See Objects."""
        return await self.age_s(folder, name) is not None

    async def age_s(self, folder: str, name: str) -> float | None:
        """See Objects."""
        wanted = self._sql.select(self._now - self._table.c.written).where(*self._is(folder, name))
        found = await self._do(lambda connection: connection.scalar(wanted))
        return None if found is None else max(0.0, float(found))

    async def delete(self, folder: str, name: str) -> None:
        """See Objects."""
        gone = self._sql.delete(self._table).where(*self._is(folder, name))
        await self._do(lambda connection: connection.execute(gone))

    async def close(self) -> None:
        """See Objects."""
        await asyncio.to_thread(self._offload.close)
        self._engine.dispose()

    def _is(self, folder: str, name: str) -> tuple[Any, Any]:
        return self._table.c.folder == folder, self._table.c.name == name

    async def _do(self, work: "Callable[[Connection], T]") -> T:
        call = _Call()
        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                return await self._offload(lambda: call.run(self._connected, work))
        except TimeoutError:
            call.cut()
            raise refused(self._shown, TimeoutError(f"no answer within {REQUEST_S_MAX:.0f} s")) from None
        except self._sql.exc.IntegrityError:
            raise
        except self._sql.exc.SQLAlchemyError as error:
            said = refused(self._shown, getattr(error, "orig", None) or error, self._password)
            raise (NoRoom(said.message) if _code(error) in _FULL else said) from None

    def _connected(self) -> "Engine":
        """Blocks. Makes the table at the first use."""
        if not self._made:
            with suppress(self._sql.exc.ProgrammingError):  # another process makes it, or it may only be used
                self._table.metadata.create_all(self._engine)
            self._made = True
        return self._engine


class _Call:
    """Work on a connection that can be ended from outside: what hangs in a driver can't be cancelled otherwise."""

    def __init__(self) -> None:
        self._lock, self._wire, self._late = Lock(), -1, False

    def run(self, engine: "Callable[[], Engine]", work: "Callable[[Connection], T]") -> T:
        """Blocks."""
        with engine().begin() as connection:
            driver: Any = connection.connection.driver_connection
            with self._lock:
                self._wire = driver.fileno() if hasattr(driver, "fileno") else -1
            try:
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(REQUEST_S_MAX * 1000)}")
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
                return work(connection)
            finally:
                with self._lock:
                    self._wire = -1

    def cut(self) -> None:
        """Ends the connection, if the work still waits on it."""
        with self._lock:
            if self._wire >= 0:
                with suppress(OSError), socket.socket(fileno=os.dup(self._wire)) as wire:
                    wire.shutdown(socket.SHUT_RDWR)


def _code(error: BaseException) -> str:
    """The server's number for an error; empty where it has none."""
    said = getattr(error, "orig", None)
    return str(getattr(said, "sqlstate", None) or next(iter(getattr(said, "args", ())), ""))


def _table() -> "Table":
    from sqlalchemy import Column, Double, LargeBinary, MetaData, String, Table

    return Table(
        "freehold_backup",
        MetaData(),
        Column("folder", String(64), primary_key=True),
        Column("name", String(64), primary_key=True),
        Column("content", LargeBinary(CONTENT_BYTES_MAX), nullable=False),
        Column("written", Double, nullable=False),
    )


def sql_objects(place: Place, secrets: Mapping[str, Secret]) -> Objects:
    """The database of a place. Raises BadRequest where a library isn't installed."""
    driver = {"postgresql": "psycopg", "mysql": "pymysql"}[place.kind]
    try:
        from sqlalchemy import URL, create_engine

        password, options = secrets.get("password", Secret("")), dict(place.options)
        url = URL.create(
            f"{place.kind}+{driver}",
            username=place.user or None,
            password=password.reveal() or None,
            host=place.host,
            port=place.port or None,
            database=place.path,
        )
        engine = create_engine(
            url,
            connect_args=_connecting(place.kind) | options,
            pool_size=CONNECTIONS_MAX,
            max_overflow=0,
            pool_timeout=REQUEST_S_MAX,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except ImportError as error:
        raise missing(place.kind, "postgresql" if place.kind == "postgresql" else "mysql") from error
    except (TypeError, ValueError) as error:
        raise BadRequest(f"the place for backups {place.shown()} can't be used: {error}") from None
    return SqlObjects(engine, place.shown(), password)


def _connecting(kind: str) -> dict[str, Any]:
    if kind == "postgresql":
        wait_ms = int(REQUEST_S_MAX * 1000)
        return {"connect_timeout": CONNECT_S_MAX, "tcp_user_timeout": wait_ms, "application_name": "freehold"}
    wait_s = int(REQUEST_S_MAX)
    return {"connect_timeout": CONNECT_S_MAX, "read_timeout": wait_s, "write_timeout": wait_s}
