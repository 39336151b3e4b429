"""Backups in Redis or Valkey: for each store a hash of its objects, and one of when they were written.

Redis keeps what it acknowledged only as far as it is set to: `appendonly yes` and, for all of it, `appendfsync always`.
Whatever it forgot is noticed at the next writing, which stands on the segment before.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from freehold.drivers.backup.objects import CONNECT_S_MAX, REQUEST_S_MAX, Objects, missing, refused
from freehold.runtime.log import logger
from freehold.vocabulary.errors import NoRoom
from freehold.vocabulary.place import Place
from freehold.vocabulary.secret import Secret

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECTIONS_MAX: Final = 4
DEFAULT_PREFIX: Final = "freehold"
_NOW: Final = "local t = redis.call('TIME'); local now = t[1] + t[2] / 1000000; "
_KEEP: Final = (
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]); "
    "redis.call('HSET', KEYS[2], ARGV[1], string.format('%.6f', now)); redis.call('SADD', KEYS[3], ARGV[3]); return 1"
)
_PUT: Final = _NOW + _KEEP
_CREATE: Final = _NOW + "if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end; " + _KEEP
_AGE: Final = (
    _NOW + "local at = redis.call('HGET', KEYS[1], ARGV[1]); "
    "if not at then return false end; return string.format('%.6f', now - at)"
)

_log = logger("backup")


class RedisObjects:
    """See Objects."""

    def __init__(self, client: "Redis", shown: str, password: Secret, prefix: str) -> None:
        import redis

        self._redis, self._errors = client, redis.RedisError
        self._shown, self._password, self._prefix = shown, password, prefix
        self._looked = False

    async def folders(self) -> list[str]:
        """See Objects."""
        return _texts(await self._do(self._redis.smembers(self._key("folders"))))

    async def names(self, folder: str) -> list[str]:
        """See Objects."""
        return _texts(await self._do(self._redis.hkeys(self._key(folder))))

    async def create(self, folder: str, name: str, content: bytes) -> bool:
        """See Objects."""
        await self._look_at_settings()
        return bool(await self._keep(_CREATE, folder, name, content))

    async def put(self, folder: str, name: str, content: bytes) -> None:
        """See Objects."""
        await self._keep(_PUT, folder, name, content)

    async def _keep(self, script: str, folder: str, name: str, content: bytes) -> Any:
        keys = (self._key(folder), self._key(f"{folder}:written"), self._key("folders"))
        return await self._do(self._redis.eval(script, 3, *keys, name, content, folder))

    async def read(self, folder: str, name: str) -> bytes | None:
        """See Objects."""
        return cast(bytes | None, await self._do(self._redis.hget(self._key(folder), name)))

    async def has(self, folder: str, name: str) -> bool:
        """See Objects."""
        return bool(await self._do(self._redis.hexists(self._key(folder), name)))

    async def age_s(self, folder: str, name: str) -> float | None:
        """See Objects."""
        found = await self._do(self._redis.eval(_AGE, 1, self._key(f"{folder}:written"), name))
        return None if found is None else max(0.0, float(found))

    async def delete(self, folder: str, name: str) -> None:
        """See Objects."""
        await self._do(self._redis.hdel(self._key(folder), name))
        await self._do(self._redis.hdel(self._key(f"{folder}:written"), name))

    async def close(self) -> None:
        """See Objects."""
        await self._redis.aclose()

    def _key(self, name: str) -> str:
        """In braces what a cluster of Redis servers chooses the server by: all of it lies on one."""
        return f"{{{self._prefix}}}:{name}"

    async def _do(self, call: Any) -> Any:
        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                return await cast(Awaitable[Any], call)
        except TimeoutError:
            raise refused(self._shown, TimeoutError(f"no answer within {REQUEST_S_MAX:.0f} s")) from None
        except (self._errors, OSError) as error:
            said = refused(self._shown, error, self._password)
            full = str(error).startswith(("OOM", "MISCONF"))
            raise (NoRoom(said.message) if full else said) from None

    async def _look_at_settings(self) -> None:
        """Says so, once, if the server forgets what it is told."""
        if self._looked:
            return
        self._looked = True
        found = await self._do(self._redis.info())
        if not found.get("aof_enabled"):
            _log.warning("Redis forgets the backup when it ends: set `appendonly yes`", place=self._shown)
        if found.get("maxmemory") and found.get("maxmemory_policy") != "noeviction":
            _log.warning("Redis may drop parts of the backup: set `maxmemory-policy noeviction`", place=self._shown)


def _texts(found: Any) -> list[str]:
    return [one.decode(errors="replace") for one in found]


def redis_objects(place: Place, secrets: Mapping[str, Secret]) -> Objects:
    """The server of a place. Raises BadRequest where redis-py isn't installed."""
    try:
        from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
    except ImportError as error:
        raise missing(place.kind, "redis") from error
    password = secrets.get("password", Secret(""))
    options: dict[str, Any] = {"connection_class": SSLConnection} if place.kind == "rediss" else {}
    if "ca" in place.options:
        options["ssl_ca_certs"] = place.options["ca"]
    pool = BlockingConnectionPool(
        max_connections=CONNECTIONS_MAX,
        timeout=int(REQUEST_S_MAX),
        host=place.host,
        port=place.port or 6379,
        db=int(place.path or 0),
        username=place.user or None,
        password=password.reveal() or None,
        socket_timeout=REQUEST_S_MAX,
        socket_connect_timeout=CONNECT_S_MAX,
        **options,
    )
    client = Redis.from_pool(pool)
    return RedisObjects(client, place.shown(), password, place.options.get("prefix", DEFAULT_PREFIX))
