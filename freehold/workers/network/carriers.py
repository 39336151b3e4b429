"""Where the cluster's hosts are on the underlay: what each says of itself, told to the others, who don't hear it. And
which incarnation of each it is that says so.

A host is believed about itself alone: with another's address it would be sent what is for its own guests, and the other
host drops that.
"""

from msgspec.structs import replace

from freehold.vocabulary.host import Host
from freehold.vocabulary.network import Carrier, is_underlay_address
from freehold.workers.network.draft import Draft
from freehold.workers.network.holdings import Incarnation


def hear_host(draft: Draft, store: str, host: Host | None) -> None:
    """The host shows its record, or shows it no more (None). Raises ValueError for an address that can't be."""
    address = "" if host is None else host.carriage.underlay
    if address and not is_underlay_address(address):
        raise ValueError(f"{address[:64]!r} can't be an address on the underlay")
    _hear_incarnation(draft, store, host)
    before = draft.holdings.carriers.get(store)
    if not address:
        if before is not None:
            draft.drop("carrier", store)
    elif before is None:
        draft.put(Carrier(host=store, address=address))
    elif before.address != address:
        draft.put(replace(before, address=address))


def _hear_incarnation(draft: Draft, store: str, host: Host | None) -> None:
    """One of an older release has none: it is heard all the same, and takes builds that name none."""
    before = draft.holdings.incarnations.get(store)
    heard = None if host is None else Incarnation(host=store, incarnation=host.incarnation)
    if heard is None and before is not None:
        draft.drop("incarnation", store)
    elif heard is not None and heard != before:
        draft.put(heard)
