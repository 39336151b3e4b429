"""Who is asking: a token is a JWS that the registrar signed, and what it says must still hold in the view."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from freehold.api.cloud import Cloud
from freehold.views.interface import View
from freehold.vocabulary.errors import Unauthorized
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import ApplicationCredential, Project, Revocation, SigningKey, User

T = TypeVar("T")

SYSTEM_PROJECT: Final = "system"
"""What stands for a project in roles and tokens that are for the whole system."""

TOKEN_BYTES_MAX: Final = 4096
CACHED_TOKENS_MAX: Final = 10_000
ALGORITHMS: Final = ["Ed25519"]

_REFUSAL: Final = "The request you have made requires authentication."


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says: see `Token` in `freehold/vocabulary/request.py`."""

    sub: str
    jti: str
    exp: int
    iat: int = 0
    prj: str = ""
    rol: tuple[str, ...] = ()
    gen: int = 0
    mth: tuple[str, ...] = ("password",)
    apc: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is signed in; `ANONYMOUS` is nobody. Times are unix seconds."""

    user: str = ""
    user_name: str = ""
    project: str = ""
    """Empty: the token is for no project."""
    project_name: str = ""
    roles: frozenset[str] = frozenset()
    token: Secret | None = None
    audit_id: str = ""
    methods: tuple[str, ...] = ()
    issued: int = 0
    expires: int = 0
    credential: str = ""

    @property
    def is_admin(self) -> bool:
        """Administers the whole cloud."""
        return "admin" in self.roles

    def owns(self, project: str) -> bool:
        """Whether what belongs to `project` is the caller's to see: an admin sees everything."""
        return self.is_admin or (bool(project) and project == self.project)


ANONYMOUS: Final = Caller()


class _Stale(Exception):
    """What the view says doesn't fit the token; it may be that the view is behind."""


class Tokens:
    """Verifies tokens. Signatures are remembered, what they say is checked each time."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._verified: OrderedDict[str, Claims] = OrderedDict()

    async def caller(self, text: str) -> Caller:
        """Who holds the token `text`. Raises Unauthorized, without saying why, unless everything about it holds now."""
        try:
            return self._caller(text)
        except _Stale:
            await self._cloud.view.fresh(["registrar"])
        try:
            return self._caller(text)
        except _Stale as error:
            raise Unauthorized(_REFUSAL) from error

    def project_of(self, text: str) -> str | None:
        """The project of a token that was seen before, whatever has become of it; None: it wasn't. It proves nothing,
        and costs nothing.
        """
        claims = self._verified.get(text)
        return None if claims is None else claims.prj

    def _caller(self, text: str) -> Caller:
        claims = self._verified.get(text)
        if claims is None:
            claims = self._verified[text] = self._verify(text)
            if len(self._verified) > CACHED_TOKENS_MAX:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(text)
        if claims.exp <= self._cloud.clock.clock.unix_ms() // 1000:
            del self._verified[text]
            raise Unauthorized(_REFUSAL)
        return _still_holds(self._cloud.view, text, claims)

    def _verify(self, text: str) -> Claims:
        if len(text) > TOKEN_BYTES_MAX or text.count(".") != 2:
            raise Unauthorized(_REFUSAL)
        try:
            kid = jws.extract_compact(text.encode()).headers().get("kid")
            if not isinstance(kid, str) or len(kid) > 64 or not kid.isprintable() or not kid:
                raise Unauthorized(_REFUSAL)
            signing_key = self._cloud.view.get(SigningKey, kid)
            if signing_key is None:
                raise _Stale
            key = OKPKey.import_key(_jwk(signing_key))
            payload = jws.deserialize_compact(text, key, algorithms=ALGORITHMS).payload
            return msgspec.json.decode(payload, type=Claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Unauthorized(_REFUSAL) from error


def _jwk(signing_key: SigningKey) -> dict[str, Any]:
    return msgspec.json.decode(signing_key.public_jwk.encode(), type=dict[str, Any])


def _still_holds(view: View, text: str, claims: Claims) -> Caller:
    """The caller, if the view agrees with the token. Raises _Stale otherwise."""
    if view.get(Revocation, claims.jti) is not None:
        raise Unauthorized(_REFUSAL)
    user = _required(view.get(User, claims.sub))
    if not user.enabled or user.generation != claims.gen:
        raise _Stale
    project_name = ""
    if claims.prj and claims.prj != SYSTEM_PROJECT:
        project = _required(view.get(Project, claims.prj))
        if not project.enabled:
            raise _Stale
        project_name = project.name
    if claims.apc:
        _required(view.get(ApplicationCredential, claims.apc))
    return Caller(
        user=user.id,
        user_name=user.name,
        project=claims.prj,
        project_name=project_name,
        roles=frozenset(claims.rol),
        token=Secret(text),
        audit_id=claims.jti,
        methods=claims.mth,
        issued=claims.iat,
        expires=claims.exp,
        credential=claims.apc,
    )


def _required(record: T | None) -> T:
    if record is None:
        raise _Stale
    return record
