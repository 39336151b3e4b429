"""Where backups are kept, as an operator names it: a URL, which never has a password in it.

folder:/PATH                                         a folder, with the whole path
s3://BUCKET/PREFIX?endpoint=URL&region=NAME          gs://BUCKET/PREFIX, az://CONTAINER/PREFIX?account=NAME
postgresql://USER@HOST:PORT/DATABASE?sslmode=…       mysql://, mariadb:// the same
redis://USER@HOST:PORT/NUMBER?prefix=NAME            rediss:// with TLS
"""

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.word import Word

OPTIONS: Final = {
    "folder": frozenset[str](),
    "s3": frozenset({"endpoint", "region"}),
    "gs": frozenset({"endpoint"}),
    "az": frozenset({"endpoint", "account"}),
    "postgresql": frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey"}),
    "mysql": frozenset({"ssl_ca", "ssl_cert", "ssl_key"}),
    "redis": frozenset({"prefix"}),
    "rediss": frozenset({"prefix", "ca"}),
}
"""What may follow the question mark, by kind."""
BUCKETS: Final = frozenset({"s3", "gs", "az"})
_ALIASES: Final = {"postgres": "postgresql", "mariadb": "mysql"}
_FORMS: Final = (
    "folder:/PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, postgresql://USER@HOST/DATABASE, "
    "mysql://USER@HOST/DATABASE, redis://HOST/NUMBER or rediss://HOST/NUMBER"
)
_PREFIX: Final = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?")


class Place(Word, frozen=True, kw_only=True):
    """A place for backups, taken apart. `path` is a folder's path, a bucket's prefix, a database's name or number."""

    kind: str
    host: str = ""
    port: int = 0
    """0: the usual one."""
    user: str = ""
    path: str = ""
    options: dict[str, str] = {}

    def shown(self) -> str:
        """Where it is, for people and logs."""
        if self.kind == "folder":
            return f"folder:{self.path}"
        port = f":{self.port}" if self.port else ""
        return f"{self.kind}://{self.host}{port}/{self.path}"


def place_of(text: str) -> Place | None:
    """The place that `text` names; None if it is empty. Raises BadRequest, which never repeats a password."""
    if not text:
        return None
    kind, _, path = text.partition(":")
    if kind == "folder":
        if not path.startswith("/"):
            raise BadRequest(f"the place for backups is {text!r}; it can be folder:/PATH, with the whole path")
        return Place(kind=kind, path=path)
    kind = _ALIASES.get(kind, kind)
    if kind not in OPTIONS or not path.startswith("//"):
        raise BadRequest(f"the place for backups is of the kind {kind[:20]!r}; it can be {_FORMS}")
    return _place_of(kind, text)


def _place_of(kind: str, text: str) -> Place:
    try:
        parts = urlsplit(text)
        port = parts.port or 0
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise BadRequest(f"the place for backups at {kind}:// isn't a URL that can be read: {error}") from error
    if parts.password is not None:
        raise BadRequest("the place for backups has a password in it: put it into the file of backup_secret_file")
    options, path = dict(given), unquote(parts.path).strip("/")
    if unknown := sorted(set(options) - OPTIONS[kind]):
        known = ", ".join(sorted(OPTIONS[kind])) or "none"
        raise BadRequest(f"the place for backups has the options {', '.join(unknown)}; {kind} has {known}")
    _check(kind, parts, path)
    return Place(
        kind=kind,
        host=parts.hostname or "" if kind not in BUCKETS else parts.netloc,
        port=port,
        user=unquote(parts.username or ""),
        path=path,
        options=options,
    )


def _check(kind: str, parts: SplitResult, path: str) -> None:
    if not parts.hostname:
        raise BadRequest(f"the place for backups names no {'bucket' if kind in BUCKETS else 'server'}: say {_FORMS}")
    if kind in BUCKETS and (parts.username is not None or not _PREFIX.fullmatch(path)):
        raise BadRequest(f"the place for backups can be {kind}://BUCKET/PREFIX; a prefix has letters, digits and ._-/")
    if kind in ("postgresql", "mysql") and not path:
        raise BadRequest(f"the place for backups names no database: say {kind}://USER@HOST/DATABASE")
    if kind.startswith("redis") and not (path or "0").isdecimal():
        raise BadRequest(f"the place for backups has {path!r} where a Redis database has a number")
