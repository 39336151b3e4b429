"""Where the cluster's hosts are on the underlay: what each says of itself, told to the others, who don't hear it. And
which incarnation of each it is that says so.

A host is believed about itself alone: with another's address it would be sent what is for its own guests, and the other
host drops that.
"""

from freehold.vocabulary.host import Host
from freehold.vocabulary.network import Carrier, is_underlay_address
from freehold.workers.network.draft import Draft


def hear_host(draft: Draft, store: str, host: Host | None) -> None:
    """The host shows its record, or shows it no more (None). Raises ValueError for an address that can't be."""
    address = "" if host is None else host.carriage.underlay
    if address and not is_underlay_address(address):
        raise ValueError(f"{address[:64]!r} can't be an address on the underlay")
    before = draft.holdings.carriers.get(store)
    heard = None if host is None else Carrier(host=store, address=address, incarnation=host.incarnation)
    if heard is None and before is not None:
        draft.drop("carrier", store)
    elif heard is not None and heard != before:
        draft.put(heard)
