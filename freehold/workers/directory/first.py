"""The machine that runs the directory: nobody else can let it in."""

from freehold.bus.tickets import Cloud
from freehold.runtime.chance import Chance, new_id
from freehold.runtime.clock import HybridClock
from freehold.runtime.keys import KEY_BYTES, SigningKey
from freehold.store.database import Store, keep_private, put
from freehold.store.identity import KeptIdentity
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.machine import Machine
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import ONE_SHARD, Shards
from freehold.workers.directory import lifecycle
from freehold.workers.directory.effects import Office
from freehold.workers.directory.records import Records

Place = tuple[str, tuple[str, ...], str, tuple[str, ...]]
"""(name, roles, cluster, stores) of a machine."""


async def let_self_in(
    store: Store, place: Place, clock: HybridClock, chance: Chance, shards: Shards = ONE_SHARD
) -> tuple[KeptIdentity, SigningKey]:
    """Who the machine is that has the directory's store, and the authority's key: the same machine each time, with a
    new key, for the roles that it has now.
    """
    authority = await Records(store).authority(chance)
    secret = chance.bytes(KEY_BYTES)
    kept = store.read_private("self", "machine")
    known = store.read_as(Machine, decode(kept, str)) if kept is not None else None
    now = clock.now()
    own = Machine(
        id=new_id(chance) if known is None else known.id,
        name=place[0],
        roles=place[1],
        cluster=place[2],
        stores=place[3],
        key=SigningKey(secret).public,
        enrolled=now if known is None else known.enrolled,
        expires_ms=lifecycle.ends_ms(now),
    )
    await store.commit([put(own.id, own), keep_private("self", "machine", encode(own.id))], "own passport")
    office = Office(authority, Cloud(store.owner.cluster, shards))
    roll = office.roll(lifecycle.refused_keys(Records(store).machines(), now), now)
    papers = office.papers(lifecycle.passport_of(own, now), roll)
    identity = KeptIdentity(
        key=Secret(secret.hex()),
        passport=papers.passport,
        authority=authority.public,
        ticket=papers.ticket,
        centre=papers.centre,
        roll=roll,
        route=office.route_password(own.cluster),
    )
    return identity, authority
