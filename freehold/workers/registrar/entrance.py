"""Who is let in: passwords and tokens, as the identity shard of the registrar keeps and signs them."""

from msgspec.structs import replace

from freehold.runtime.chance import new_id
from freehold.store.database import Store, drop, keep_private, put
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.envelope import Position
from freehold.vocabulary.request import ChangePassword
from freehold.vocabulary.tenant import Revocation, User
from freehold.vocabulary.token import Revoke, SignIn, SignInAgain, SignInByCredential, Token
from freehold.workers.base import Means
from freehold.workers.registrar import signin
from freehold.workers.registrar.effects import Passwords, Signer


class Entrance:
    """See the module."""

    def __init__(self, means: Means, store: Store, passwords: Passwords) -> None:
        self._means, self._store, self._passwords = means, store, passwords
        self._signer: Signer | None = None

    async def open(self) -> None:
        """Takes up the key that tokens are signed with, or makes the first."""
        self._signer = await self._opened_signer()

    async def change_password(self, asked: ChangePassword) -> Position:
        """Raises Unauthorized if the old one is wrong."""
        kept = self._store.read_private("password", asked.user)
        if not await self._passwords.right(kept, asked.old):
            raise signin.refused()
        secret = await self._passwords.hashed(asked.new)
        user = self._store.read_as(User, asked.user)
        if user is None or not user.enabled or self._store.read_private("password", asked.user) != kept:
            raise signin.refused()
        changes = [put(user.id, replace(user, generation=user.generation + 1))]
        changes.append(keep_private("password", user.id, secret))
        return await self._store.commit(changes, "change password")

    async def revoke(self, asked: Revoke) -> Position:
        """A token is void from now on. Forgets those that have expired."""
        now_s = self._means.clock.clock.unix_ms() // 1000
        over = [drop("revocation", old.audit_id) for old in self._store.scan(Revocation) if old.expires <= now_s]
        record = Revocation(audit_id=asked.audit_id, expires=asked.expires)
        return await self._store.commit([*over, put(asked.audit_id, record)], "revoke")

    async def sign_in(self, question: SignIn | SignInByCredential | SignInAgain) -> Token:
        """A token. Raises Unauthorized without saying what was wrong."""
        assert self._signer is not None
        if isinstance(question, SignIn):
            grant = await self._by_password(question)
        elif isinstance(question, SignInByCredential):
            grant = await self._by_credential(question)
        else:
            grant = self._by_token(question, self._signer)
        return self._signer.token(grant, grant.methods)

    async def _by_password(self, question: SignIn) -> signin.Grant:
        user = signin.user_asking(self._store, question)
        kept = None if user is None else self._store.read_private("password", user.id)
        if not await self._passwords.right(kept, question.password) or user is None:
            raise signin.refused()
        return signin.granted(self._store, user, question.scope, ("password",))

    async def _by_credential(self, question: SignInByCredential) -> signin.Grant:
        credential = signin.credential_asking(self._store, question)
        kept = None if credential is None else self._store.read_private("credential_secret", credential.id)
        if not await self._passwords.right(kept, question.secret) or credential is None:
            raise signin.refused()
        now_s = self._means.clock.clock.unix_ms() // 1000
        return signin.granted_by_credential(self._store, credential, now_s)

    def _by_token(self, question: SignInAgain, signer: Signer) -> signin.Grant:
        claims = signer.claims(question.token)
        if claims is None or claims.get("apc"):
            raise signin.refused()
        expires, audit_id = claims["exp"], str(claims["jti"])
        user = self._store.read_as(User, str(claims["sub"]))
        if user is None or not user.enabled or user.generation != claims["gen"] or not isinstance(expires, int):
            raise signin.refused()
        if expires <= self._means.clock.clock.unix_ms() // 1000 or self._store.read_as(Revocation, audit_id):
            raise signin.refused()
        return signin.granted(self._store, user, question.scope, ("token", "password"), expires)

    async def _opened_signer(self) -> Signer:
        private = self._store.read_private("signing_key", "current")
        if private is None:
            made = (new_id(self._means.chance), self._means.chance.bytes(32))
            signer = Signer(self._means, *made)
            changes = [keep_private("signing_key", "current", encode(made)), put(made[0], signer.public())]
            await self._store.commit(changes, "bootstrap")
            return signer
        key_id, secret = decode(private, tuple[str, bytes])
        return Signer(self._means, key_id, secret)
