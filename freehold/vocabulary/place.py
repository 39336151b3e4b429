"""Where backups or images are kept, as an operator names it: a URL, which never has a password in it.

folder:/PATH                                         a folder, with the whole path
s3://BUCKET/PREFIX?endpoint=URL&region=NAME          gs://BUCKET/PREFIX, az://CONTAINER/PREFIX?account=NAME
swift://CONTAINER/PREFIX?auth=URL&user=NAME&project=NAME&region=NAME
postgresql://USER@HOST:PORT/DATABASE?sslmode=…       mysql://, mariadb:// the same
redis://USER@HOST:PORT/NUMBER?prefix=NAME            rediss:// with TLS
https://HOST/FOLDER?list=/PATH                       http:// too; a folder on the web, and a file with what is in it
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.word import Word

OPTIONS: Final = {
    "folder": frozenset[str](),
    "s3": frozenset({"endpoint", "region"}),
    "gs": frozenset({"endpoint"}),
    "az": frozenset({"endpoint", "account"}),
    "swift": frozenset({"auth", "user", "project", "user_domain", "project_domain", "application_credential"})
    | frozenset({"region", "interface", "ca"}),
    "postgresql": frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey"}),
    "mysql": frozenset({"ssl_ca", "ssl_cert", "ssl_key"}),
    "redis": frozenset({"prefix"}),
    "rediss": frozenset({"prefix", "ca"}),
    "http": frozenset({"list"}),
    "https": frozenset({"list", "ca"}),
}
"""What may follow the question mark, by kind."""
BUCKETS: Final = frozenset({"s3", "gs", "az"})
CONTAINERS: Final = BUCKETS | {"swift"}
"""Kinds whose host is the name of what things are put into."""
WEB: Final = frozenset({"http", "https"})
SWIFT_V1: Final = "/v1.0"
"""How the URL ends of Swift's own way in; any other is Keystone's."""
_INTERFACES: Final = ("public", "internal", "admin")
_ALIASES: Final = {"postgres": "postgresql", "mariadb": "mysql"}
_FORMS: Final = {
    "folder": "folder:/PATH",
    "s3": "s3://BUCKET/PREFIX",
    "gs": "gs://BUCKET/PREFIX",
    "az": "az://CONTAINER/PREFIX",
    "swift": "swift://CONTAINER/PREFIX?auth=URL&user=NAME&project=NAME",
    "postgresql": "postgresql://USER@HOST/DATABASE",
    "mysql": "mysql://USER@HOST/DATABASE",
    "redis": "redis://HOST/NUMBER",
    "rediss": "rediss://HOST/NUMBER",
    "http": "http://HOST/FOLDER?list=/PATH",
    "https": "https://HOST/FOLDER?list=/PATH",
}
_CONTAINER: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_PREFIX: Final = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?")


class Place(Word, frozen=True, kw_only=True):
    """A place, taken apart. `path` is a folder's path, a bucket's prefix, a database's name or number."""

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


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a place is for: in words, the setting that names it, and the kinds that it may be of."""

    words: str
    setting: str
    kinds: tuple[str, ...]

    def the_place(self) -> str:
        """How people read of it."""
        return f"the place for {self.words}"

    def forms(self) -> str:
        """What it can be."""
        *others, last = [_FORMS[kind] for kind in self.kinds]
        return f"{', '.join(others)} or {last}" if others else last


BACKUPS: Final = Purpose("backups", "backup", tuple(kind for kind in _FORMS if kind not in {"swift", *WEB}))
IMAGES: Final = Purpose("images", "image_store", ("folder", *sorted(CONTAINERS), *sorted(WEB)))
VOLUMES: Final = Purpose("volumes", "volume_store", ("folder",))


def place_of(text: str, purpose: Purpose = BACKUPS) -> Place | None:
    """The place that `text` names; None if it is empty. Raises BadRequest, which never repeats a password."""
    if not text:
        return None
    kind, _, path = text.partition(":")
    if kind == "folder":
        if not path.startswith("/"):
            raise BadRequest(f"{purpose.the_place()} is {text!r}; it can be folder:/PATH, with the whole path")
        return Place(kind=kind, path=path)
    kind = _ALIASES.get(kind, kind)
    if kind not in purpose.kinds or not path.startswith("//"):
        raise BadRequest(f"{purpose.the_place()} is of the kind {kind[:20]!r}; it can be {purpose.forms()}")
    return _place_of(kind, text, purpose)


def _place_of(kind: str, text: str, purpose: Purpose) -> Place:
    the_place = purpose.the_place()
    try:
        parts = urlsplit(text)
        port = parts.port or 0
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise BadRequest(f"{the_place} at {kind}:// isn't a URL that can be read: {error}") from error
    if parts.password is not None:
        raise BadRequest(f"{the_place} has a password in it: put it into the file of {purpose.setting}_secret_file")
    options, path = dict(given), unquote(parts.path).strip("/")
    if unknown := sorted(set(options) - OPTIONS[kind]):
        known = ", ".join(sorted(OPTIONS[kind])) or "none"
        raise BadRequest(f"{the_place} has the options {', '.join(unknown)}; {kind} has {known}")
    _check(kind, parts, path, purpose)
    if kind == "swift":
        _check_swift(parts.netloc, options, purpose)
    if kind in WEB and (parts.username is not None or not options.get("list", "").startswith("/")):
        raise BadRequest(f"{the_place} can be {_FORMS[kind]}, with the whole path of a list that is on this machine")
    return Place(
        kind=kind,
        host=parts.netloc if kind in CONTAINERS else parts.hostname or "",
        port=port,
        user=unquote(parts.username or ""),
        path=path,
        options=options,
    )


def _check(kind: str, parts: SplitResult, path: str, purpose: Purpose) -> None:
    the_place = purpose.the_place()
    if not parts.hostname:
        what = "bucket" if kind in CONTAINERS else "server"
        raise BadRequest(f"{the_place} names no {what}: say {purpose.forms()}")
    if kind in CONTAINERS and (parts.username is not None or not _PREFIX.fullmatch(path)):
        raise BadRequest(f"{the_place} can be {kind}://BUCKET/PREFIX; a prefix has letters, digits and ._-/")
    if kind in ("postgresql", "mysql") and not path:
        raise BadRequest(f"{the_place} names no database: say {kind}://USER@HOST/DATABASE")
    if kind.startswith("redis") and not (path or "0").isdecimal():
        raise BadRequest(f"{the_place} has {path!r} where a Redis database has a number")


def _check_swift(container: str, options: Mapping[str, str], purpose: Purpose) -> None:
    the_place = purpose.the_place()
    if not _CONTAINER.fullmatch(container):
        raise BadRequest(f"{the_place} is the container {container!r}; it can have letters, digits and ._-")
    auth = options.get("auth", "")
    if not is_web_url(auth):  # it isn't repeated: it may have a password in it
        raise BadRequest(f"{the_place} has an auth that isn't a URL of Keystone's, or of Swift's own with {SWIFT_V1}")
    if options.get("interface", "public") not in _INTERFACES:
        raise BadRequest(f"{the_place} has interface {options['interface']!r}; it can be {', '.join(_INTERFACES)}")
    wanted = {"user", "project"}
    if auth.rstrip("/").endswith(SWIFT_V1):
        wanted = {"user"}
    elif "application_credential" in options:
        wanted = {"application_credential"}
    if lacking := sorted(name for name in wanted if not options.get(name)):
        raise BadRequest(f"{the_place} lacks {', '.join(lacking)}: say {_FORMS['swift']}")


def is_web_url(text: str) -> bool:
    """Whether it is the URL of a web server, and has no user or password in it."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
