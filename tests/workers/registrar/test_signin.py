"""Who gets a token, for what and for how long; and that every refusal looks the same."""

import asyncio
import base64
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from msgspec.structs import replace

from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import FreeholdError, Unauthorized
from freehold.vocabulary.request import ChangePassword, DropTenant
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import ApplicationCredential, Assignment, Project, Role, SigningKey, User
from freehold.vocabulary.token import Revoke, Scope, SignInAgain, SignInByCredential, Token
from freehold.workers.registrar import signin
from freehold.workers.registrar.effects import TOKEN_LIFE_S
from tests.owners import turns
from tests.workers.registrar.bench import PASSWORD, Bench

ANNE = User(id="anne", name="anne", default_project="lab")
LAB = Project(id="lab", name="lab")
HERS = Secret("battery staple")
NEW = Secret("a new password")
KEY = Secret("a program's key")
IN_LAB = Scope(project="lab")
CREDENTIAL = ApplicationCredential(id="cred", name="robot", user="anne", project="lab", roles=("member", "admin"))


@pytest.fixture
async def lab(bench: Bench) -> Bench:
    """A project with a member, who has a credential for a program of hers."""
    await bench.save("lab", LAB)
    await bench.save("anne", ANNE, secret=HERS)
    for name in ("member", "reader"):
        role = role_named(bench, name)
        await bench.save(f"anne/lab/{role}", Assignment(user="anne", project="lab", role=role))
    await bench.save("cred", CREDENTIAL, secret=KEY)
    return bench


def role_named(bench: Bench, name: str) -> str:
    return next(role.id for role in bench.store.scan(Role) if role.name == name)


async def anne(bench: Bench, scope: Scope = IN_LAB, password: Secret = HERS) -> Token:
    return await bench.sign_in(password, scope, user="anne")


async def robot(bench: Bench, secret: Secret = KEY, **which: str) -> Token:
    return await bench.ask(SignInByCredential(secret=secret, **(which or {"id": "cred"})), Token)


async def again(bench: Bench, token: Token, scope: Scope = IN_LAB) -> Token:
    return await bench.ask(SignInAgain(token=token.text, scope=scope), Token)


def claims(bench: Bench, token: Token) -> dict[str, Any]:
    """What a token says to everybody who has the published key."""
    (published,) = bench.store.scan(SigningKey)
    key = OKPKey.import_key(json.loads(published.public_jwk))
    found: dict[str, Any] = json.loads(
        jws.deserialize_compact(token.text.reveal(), key, algorithms=["Ed25519"]).payload
    )
    return found


# --- by password -----------------------------------------------------------------------------------------------------


async def test_a_token_says_who_and_where_to_whoever_has_the_public_key(lab: Bench) -> None:
    token = await anne(lab)
    now_s = round(lab.clock.now_s)
    assert (token.user, token.project, token.roles, token.methods) == (
        "anne",
        "lab",
        ("member", "reader"),
        ("password",),
    )
    assert (token.issued, token.expires) == (now_s, now_s + TOKEN_LIFE_S)
    said = claims(lab, token)
    assert (said["sub"], said["prj"], said["rol"]) == ("anne", "lab", ["member", "reader"])
    assert (said["exp"], said["jti"], said["apc"]) == (token.expires, token.audit_id, "")


@pytest.mark.parametrize(
    ("scope", "project"),
    [
        (Scope(project="lab"), "lab"),
        (Scope(project_name="lab"), "lab"),
        (Scope(project_name="lab", domain="Default"), "lab"),
        (Scope(), "lab"),
        (Scope(unscoped=True), ""),
    ],
    ids=["by id", "by name", "by name and domain", "the default project", "unscoped"],
)
async def test_scopes(lab: Bench, scope: Scope, project: str) -> None:
    token = await anne(lab, scope)
    assert token.project == project and bool(token.roles) == bool(project)


async def test_names_are_looked_up_in_their_domain(lab: Bench) -> None:
    token = await lab.sign_in(HERS, IN_LAB, user_name="anne", domain="DEFAULT")
    assert token.user == "anne"
    assert (await lab.sign_in(HERS, IN_LAB, user_name="anne", domain="")).user == "anne"


@pytest.mark.parametrize(
    "how",
    [
        {"password": Secret("wrong")},
        {"password": Secret("")},
        {"user": "nobody"},
        {"user_name": "nobody"},
        {"user_name": "anne", "domain": "elsewhere"},
        {"scope": Scope(project="nowhere")},
        {"scope": Scope(project_name="nowhere")},
        {"scope": Scope(project_name="lab", domain="elsewhere")},
        {"scope": Scope(project_name="admin")},
        {"scope": Scope(system=True)},
    ],
    ids=str,
)
async def test_every_refusal_is_the_same(lab: Bench, how: dict[str, Any]) -> None:
    password, scope = how.pop("password", HERS), how.pop("scope", IN_LAB)
    with pytest.raises(Unauthorized) as refusal:
        await lab.sign_in(password, scope, **(how or {"user": "anne"}))
    assert refusal.value.message == signin.REFUSED


async def test_a_system_scope_needs_a_role_there(lab: Bench) -> None:
    role = role_named(lab, "admin")
    await lab.save(f"anne/system/{role}", Assignment(user="anne", project="system", role=role))
    token = await anne(lab, Scope(system=True))
    assert (token.project, token.roles) == ("system", ("admin",))


async def test_a_default_project_without_a_role_leaves_the_token_unscoped(lab: Bench) -> None:
    await lab.save("bob", User(id="bob", name="bob", default_project="lab"), secret=HERS)
    assert (await lab.sign_in(HERS, Scope(), user="bob")).project == ""


@pytest.mark.parametrize("what", ["user", "project"])
async def test_who_or_what_is_disabled_gets_no_token(lab: Bench, what: str) -> None:
    if what == "user":
        await lab.save("anne", replace(ANNE, enabled=False), new=False)
    else:
        await lab.save("lab", replace(LAB, enabled=False), new=False)
    for asked in (anne(lab), robot(lab)):
        with pytest.raises(Unauthorized):
            await asked


# --- by a program's credential ---------------------------------------------------------------------------------------


async def test_a_credential_gives_those_of_its_roles_that_its_user_has(lab: Bench) -> None:
    token = await robot(lab)
    assert (token.user, token.project, token.roles, token.credential) == ("anne", "lab", ("member",), "cred")
    assert token.methods == ("application_credential",) and claims(lab, token)["apc"] == "cred"


async def test_a_credential_is_found_by_its_users_names_too(lab: Bench) -> None:
    assert (await robot(lab, name="robot", user="anne")).credential == "cred"
    assert (await robot(lab, name="robot", user_name="anne", domain="default")).credential == "cred"


@pytest.mark.parametrize(
    "which",
    [{"id": "other"}, {"name": "robot"}, {"name": "other", "user": "anne"}, {"name": "robot", "user_name": "admin"}],
    ids=str,
)
async def test_a_credential_that_isnt_there(lab: Bench, which: dict[str, str]) -> None:
    with pytest.raises(Unauthorized):
        await robot(lab, KEY, **which)


@pytest.mark.parametrize("secret", [HERS, PASSWORD, Secret("")], ids=["her password", "another's", "none"])
async def test_a_credential_opens_by_its_own_secret(lab: Bench, secret: Secret) -> None:
    with pytest.raises(Unauthorized):
        await robot(lab, secret)


async def test_a_credential_ends_when_it_says_and_so_does_its_token(lab: Bench) -> None:
    now_s = round(lab.clock.now_s)
    await lab.save("cred", replace(CREDENTIAL, expires=now_s + 60), new=False)
    assert (await robot(lab)).expires == now_s + 60
    lab.clock.move(60)
    with pytest.raises(Unauthorized):
        await robot(lab)


async def test_a_credential_whose_user_lost_the_role_gives_nothing(lab: Bench) -> None:
    member = role_named(lab, "member")
    await lab.ask(DropTenant(kind="assignment", key=f"anne/lab/{member}"), Done)
    with pytest.raises(Unauthorized):
        await robot(lab)


async def test_a_dropped_credential_gives_nothing(lab: Bench) -> None:
    await lab.ask(DropTenant(kind="application_credential", key="cred"), Done)
    with pytest.raises(Unauthorized):
        await robot(lab)
    assert lab.store.read_private("credential_secret", "cred") is None


# --- by a token ------------------------------------------------------------------------------------------------------


async def test_a_token_of_another_scope_expires_with_the_first(lab: Bench) -> None:
    first = await anne(lab, Scope(unscoped=True))
    lab.clock.move(600)
    second = await again(lab, first)
    assert (second.project, second.roles) == ("lab", ("member", "reader"))
    assert second.issued == first.issued + 600 and second.expires == first.expires
    assert second.audit_id != first.audit_id and second.methods == ("token", "password")


async def test_an_expired_token_gives_no_other(lab: Bench) -> None:
    token = await anne(lab)
    lab.clock.move(TOKEN_LIFE_S - 1)
    await again(lab, token)
    lab.clock.move(1)
    with pytest.raises(Unauthorized):
        await again(lab, token)


async def test_a_revoked_token_gives_no_other(lab: Bench) -> None:
    token, other = await anne(lab), await anne(lab)
    await lab.ask(Revoke(audit_id=token.audit_id, expires=token.expires), Done)
    with pytest.raises(Unauthorized):
        await again(lab, token)
    await again(lab, other)


async def test_a_credentials_token_gives_no_other(lab: Bench) -> None:
    with pytest.raises(Unauthorized):
        await again(lab, await robot(lab))


def altered(token: Token, **more: Any) -> Token:
    """The token with other claims under its old signature."""
    header, payload, signature = token.text.reveal().split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "==")) | more
    forged = base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()
    return replace(token, text=Secret(f"{header}.{forged}.{signature}"))


async def test_a_token_that_wasnt_signed_here_gives_nothing(lab: Bench) -> None:
    token = await anne(lab)
    stranger = OKPKey.generate_key("Ed25519")
    payload = json.dumps(claims(lab, token)).encode()
    foreign = jws.serialize_compact({"alg": "Ed25519"}, payload, stranger, algorithms=["Ed25519"])
    nothing = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    body = token.text.reveal().split(".")[1]
    for text in ("", "x", "a.b.c", foreign, f"{nothing}.{body}.", altered(token, sub="admin").text.reveal()):
        with pytest.raises(Unauthorized):
            await again(lab, replace(token, text=Secret(text)))


# --- what makes tokens void ------------------------------------------------------------------------------------------


async def test_a_changed_password_ends_the_tokens_of_before(lab: Bench) -> None:
    before = await anne(lab)
    await lab.ask(ChangePassword(user="anne", old=HERS, new=NEW), Done)
    with pytest.raises(Unauthorized):
        await again(lab, before)
    with pytest.raises(Unauthorized):
        await anne(lab)
    after = await anne(lab, password=NEW)
    assert claims(lab, after)["gen"] == claims(lab, before)["gen"] + 1


@pytest.mark.parametrize(("user", "old"), [("anne", Secret("wrong")), ("nobody", HERS)])
async def test_a_password_is_changed_by_who_knows_it(lab: Bench, user: str, old: Secret) -> None:
    with pytest.raises(Unauthorized):
        await lab.ask(ChangePassword(user=user, old=old, new=NEW), Done)
    await anne(lab)


async def test_of_two_changes_at_once_one_is_too_late(lab: Bench) -> None:
    lab.disk.clear()  # hashes wait: both have read what is to be changed
    changes = [ChangePassword(user="anne", old=HERS, new=Secret(f"new {n}")) for n in range(2)]
    asked = [asyncio.create_task(lab.ask(change, Done)) for change in changes]
    await turns()
    lab.disk.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Done", "Unauthorized"]


async def test_an_admin_that_sets_a_password_ends_the_tokens_of_before(lab: Bench) -> None:
    before = await anne(lab)
    await lab.save("anne", replace(ANNE, description="the same person"), new=False)
    await again(lab, before)
    await lab.save("anne", ANNE, new=False, secret=NEW)
    with pytest.raises(Unauthorized):
        await again(lab, before)
    await anne(lab, password=NEW)


async def test_a_user_that_was_disabled_for_a_while_signs_in_anew(lab: Bench) -> None:
    before = await anne(lab)
    await lab.save("anne", replace(ANNE, enabled=False), new=False)
    await lab.save("anne", ANNE, new=False)
    with pytest.raises(Unauthorized):
        await again(lab, before)
    await anne(lab)


async def test_the_operator_sets_a_password_from_the_machine(lab: Bench) -> None:
    before = await anne(lab)
    await lab.save("anne", replace(ANNE, enabled=False), new=False)
    await lab.worker.set_password("anne", NEW)
    await anne(lab, password=NEW)
    with pytest.raises(Unauthorized):
        await again(lab, before)
    with pytest.raises(FreeholdError, match="no user 'nobody'"):
        await lab.worker.set_password("nobody", NEW)


async def test_a_token_outlives_the_process_that_signed_it(lab: Bench) -> None:
    before = await anne(lab)
    await lab.close()
    await lab.open()
    await again(lab, before)
    await anne(lab)
    assert not await lab.worker.bootstrap(NEW), "there is a first start only once"
    await lab.sign_in()


async def test_revocations_are_dropped_when_their_tokens_have_expired(lab: Bench) -> None:
    token = await anne(lab)
    await lab.ask(Revoke(audit_id=token.audit_id, expires=token.expires), Done)
    lab.clock.move(TOKEN_LIFE_S)
    await lab.ask(Revoke(audit_id="other", expires=token.expires + TOKEN_LIFE_S), Done)
    kept = [entry.key for entry in lab.store.complete(("", ""), 1000).rows if entry.kind == "revocation"]
    assert kept == ["other"]


async def test_no_secret_is_ever_told(lab: Bench) -> None:
    told = b"".join(entry.value or b"" for entry in lab.store.since(Position(epoch=lab.store.epoch)).entries)
    told += b"".join(row.value for row in lab.store.complete(("", ""), 1000).rows)
    kept = [lab.store.read_private("password", "anne"), lab.store.read_private("credential_secret", "cred")]
    for secret in (HERS.reveal().encode(), KEY.reveal().encode(), *kept):
        assert secret and secret not in told
