"""Signing in, and what comes of it."""

from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Message, Word


class Scope(Word, frozen=True, kw_only=True):
    """What a token is asked for: a project by id, or by name and domain; nothing for an unscoped one."""

    project: str = ""
    project_name: str = ""
    domain: str = ""
    system: bool = False
    unscoped: bool = False


class SignIn(Message, frozen=True, kw_only=True):
    """Asks for a token by password. Names or ids. Unauthorized without saying which part was wrong. Answer: Token."""

    user: str = ""
    user_name: str = ""
    domain: str = ""
    password: Secret
    scope: Scope


class SignInByCredential(Message, frozen=True, kw_only=True):
    """Asks for a token by application credential: by id, or by name and user. Answer: Token."""

    id: str = ""
    name: str = ""
    user: str = ""
    user_name: str = ""
    domain: str = ""
    secret: Secret


class SignInAgain(Message, frozen=True, kw_only=True):
    """Asks for a token of another scope by a token that holds (its text). It expires when that one does. Answer:
    Token.
    """

    token: Secret
    scope: Scope


class Token(Word, frozen=True, kw_only=True):
    """A signed token (a JWS, EdDSA) and what is in it. Any API process checks it with the registrar's public keys.

    Claims: ``sub`` user, ``prj`` project ("" if none), ``rol`` role names, ``gen`` user generation, ``mth`` methods,
    ``jti`` audit id,
    ``iat``/``exp`` unix seconds, ``apc`` application credential id.
    """

    text: Secret
    user: str
    project: str
    roles: tuple[str, ...]
    methods: tuple[str, ...]
    audit_id: str
    issued: int
    """Unix seconds."""
    expires: int
    """Unix seconds."""
    credential: str = ""


class Revoke(Message, frozen=True, kw_only=True):
    """Makes a token void before it expires. Answer: Done."""

    audit_id: str
    expires: int
