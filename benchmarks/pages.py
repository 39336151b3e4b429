"""What a page of a tenant's servers costs an API process, with ever more servers of others in its view; and one server.

    python -m benchmarks.pages --guests 10000 100000 1000000

The view is given what owners would tell it, without them; calls go through the whole of the API: token, policy,
microversion and JSON. Times are CPU times of calls, as the server does them.
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.record import growth, record
from freehold.bus import subjects, talk
from freehold.runtime.log import configure
from freehold.views.cloud import CloudView
from freehold.vocabulary.codec import encode, kind_of
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Entry, Owner, OwnerQuestion, Position
from freehold.vocabulary.guest import Guest, GuestSpec, GuestState, Labels
from freehold.vocabulary.network import FixedAddress, Port, PortWiring
from freehold.vocabulary.request import Admission, Stage
from freehold.vocabulary.tenant import Flavor
from freehold.vocabulary.word import Word
from tests.several import SERVERS, Person, several

OF_TENANT: Final = 1000
BATCH: Final = 1000
CALLS: Final = 200
FLAVOR: Final = Flavor(id="1", name="m1.tiny", vcpus=1, ram_mib=512, disk_gib=1)
LEDGER: Final = Owner(store="11111111-1111-4111-8111-111111111111", role="registrar", cluster="default")
HOST: Final = Owner(store="22222222-2222-4222-8222-222222222222", role="host", cluster="default")
NETWORK: Final = Owner(store="33333333-3333-4333-8333-333333333333", role="network", cluster="default")


def a_server(
    number: int, project: str, host: Owner = HOST, state: GuestState = GuestState.RUNNING
) -> tuple[Admission, Guest, Port]:
    """What its owners would say of a server."""
    guest, port, urn = guest_id(number), _id("b", number), f"urn:freehold:request:{_id('c', number)}"
    spec = GuestSpec(flavor=FLAVOR, image=_id("d", 0), image_name="i")
    labels = Labels(name=f"server {number}", metadata={"role": "web"})
    created, address = (1 << 40) + number, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    deed = Deed(guest=guest, project=project, number=1, host=host.store, cluster=host.cluster, urn=urn)
    admission = Admission(
        guest=guest,
        project=project,
        user="u",
        urn=urn,
        hostname=f"server-{number}",
        labels=labels,
        spec=spec,
        stage=Stage.ACTIVE,
        deed=deed,
        created=created,
        updated=created,
    )
    mac = f"fa:16:3e:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    wiring = PortWiring(
        port=port,
        network=_id("e", 0),
        network_name="n",
        segment=1,
        mtu=1450,
        mac=mac,
        addresses=(address,),
        cidr="10.0.0.0/8",
        gateway=None,
    )
    held = Guest(
        id=guest,
        project=project,
        user="u",
        host=host.store,
        cluster=host.cluster,
        deed=1,
        urn=urn,
        spec=spec,
        labels=labels,
        hostname=f"server-{number}",
        state=state,
        ports=(wiring,),
        created=created,
        updated=created,
        launched=created,
    )
    told = Port(
        id=port,
        project=project,
        network=_id("e", 0),
        mac=mac,
        device=guest,
        host=host.store,
        addresses=(FixedAddress(subnet=_id("f", 0), address=address),),
        created=created,
    )
    return admission, held, told


def guest_id(number: int) -> str:
    """The id of that server."""
    return _id("a", number)


def _id(letter: str, number: int) -> str:
    return f"{letter * 8}-0000-4000-8000-{number:012x}"


class Told:
    """Owners' logs, as a view takes them in."""

    def __init__(self, view: CloudView) -> None:
        self._view = view
        self.stands = {owner.store: Position(epoch="e") for owner in (LEDGER, HOST, NETWORK)}

    def tell(self, owner: Owner, records: list[Word]) -> None:
        """The owner's next entries. Nobody looks at their digests here."""
        seq = self.stands[owner.store].seq
        entries = [
            Entry(seq + count, seq + count, kind_of(record), _key(record), encode(record), "u", b"")
            for count, record in enumerate(records, 1)
        ]
        position = self.stands[owner.store] = Position(epoch="e", seq=seq + len(entries))
        self._view.apply(owner, position, entries)

    async def answer(self, question: OwnerQuestion) -> Word:
        """Where the ledger stands."""
        del question
        return self.stands[LEDGER.store]


def _key(record: Word) -> str:
    return record.guest if isinstance(record, Admission) else str(getattr(record, "id", ""))


def fill(told: Told, first: int, last: int, projects: list[str]) -> None:
    """Servers of these projects by turns."""
    for start in range(first, last, BATCH):
        servers = [a_server(n, projects[n % len(projects)]) for n in range(start, min(start + BATCH, last))]
        told.tell(LEDGER, [admission for admission, _, _ in servers])
        told.tell(NETWORK, [port for _, _, port in servers])
        told.tell(HOST, [guest for _, guest, _ in servers])


async def calls(person: Person, path: str, count: int) -> list[float]:
    """The CPU times of calls, in ms, sorted."""
    costs = []
    for _ in range(count):
        began_s = time.process_time()
        reply = await person.api(0).get(path)
        costs.append((time.process_time() - began_s) * 1000)
        assert reply.status == 200, reply.body[:500]
    return sorted(costs)


async def measured(sizes: list[int], count: int) -> dict[str, Any]:
    """The figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        async with several(Path(folder), shards=1, apis=1, hosts=1) as cloud:
            told, person = Told(cloud.views[0]), await cloud.newcomer()
            await talk.serve(cloud.means.bus, subjects.owner(LEDGER), OwnerQuestion, told.answer, "owner")
            fill(told, 0, OF_TENANT, [person.project])
            there, curve = OF_TENANT, list[dict[str, Any]]()
            for size in sizes:
                fill(told, there, size, [_id("9", number) for number in range(max(1, size // OF_TENANT))])
                there = size
                gc.collect()
                gc.freeze()
                curve.append({"guests": size} | await _costs(person, count))
        page, one = ([point[name] for point in curve] for name in ("page_ms_p50", "one_ms_p50"))
        return {"of_tenant": OF_TENANT, "curve": curve} | {
            "page_exponent": growth(sizes, page),
            "one_exponent": growth(sizes, one),
        }


async def _costs(person: Person, count: int) -> dict[str, float]:
    path, one = f"{SERVERS}/detail", f"{SERVERS}/{_id('a', 17)}"
    first = await calls(person, path, 1)
    pages, ones = await calls(person, path, count), await calls(person, one, count * 5)
    return {
        "first_page_ms": round(first[0], 2),
        "page_ms_p50": round(statistics.median(pages), 3),
        "page_ms_p99": round(pages[int(len(pages) * 0.99) - 1], 3),
        "one_ms_p50": round(statistics.median(ones), 4),
        "one_ms_p99": round(ones[int(len(ones) * 0.99) - 1], 4),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guests", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--calls", type=int, default=CALLS)
    asked = parser.parse_args()
    configure(level="error")
    record("pages", asyncio.run(measured(asked.guests, asked.calls)))


if __name__ == "__main__":
    main()
