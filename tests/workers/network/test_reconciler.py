"""What is late is mended, what contradicts itself is said."""

from pathlib import Path

from msgspec.structs import replace

from freehold.runtime.chance import SeededChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.store.database import Store, keep_private, put
from freehold.vocabulary.codec import encode
from freehold.vocabulary.network import FixedAddress, Port
from freehold.vocabulary.request import Intent
from freehold.workers.network.holdings import Booking, Sight
from freehold.workers.network.reconciler import Reconciler
from freehold.workers.network.records import Records

PORT = Port(id="a", project="p", network="n", mac="m", addresses=(FixedAddress(subnet="s", address="10.0.0.2"),))


async def opened(folder: Path) -> tuple[Store, Records, Reconciler]:
    clock, chance = HybridClock(SystemClock()), SeededChance(1)
    store = await Store.open(
        folder / "network.db", role="network", cluster="c1", clock=clock, chance=chance, offload=offload_inline
    )
    records = Records(store)
    return store, records, Reconciler(records, clock, chance.bytes)


async def test_a_lease_whose_end_was_passed_over_ends(tmp_path: Path) -> None:
    store, records, reconciler = await opened(tmp_path)
    booking = Booking(guest="g", urn="u", deed=1, host="h", ports=("a",))
    records.stage([replace(PORT, device="g", deed=1, device_owner="compute:nova"), booking], "test")
    records.stage([Sight(host="h", guest="g", ended=1)], "test")
    reconciler.look()
    await records.durable()
    (port,) = store.scan(Port)
    assert (port.device, port.deed) == ("", 0)
    assert not store.scan_private("booking")
    await store.close()


async def test_what_an_evacuated_guest_has_is_kept_though_its_next_host_has_refused_it(tmp_path: Path) -> None:
    """The build under the next deed never came here: the registrar knows that the guest has left."""
    store, records, reconciler = await opened(tmp_path)
    booking = Booking(guest="g", urn="u", deed=1, host="h", ports=("a",))
    records.stage([replace(PORT, device="g", deed=1, device_owner="compute:nova"), booking], "test")
    reconciler.heed([Intent(guest="g", refused_deed=2, left=True)])
    records.stage([Sight(host="h", guest="g", ended=1)], "its copy there was let go of")
    reconciler.look()
    await records.durable()
    assert [port.device for port in store.scan(Port)] == ["g"]
    reconciler.heed([Intent(guest="g", ended=True)])
    await records.durable()
    assert [port.device for port in store.scan(Port)] == [""]
    await store.close()


async def test_a_lease_ends_when_the_registrar_knows_that_its_deed_is_refused(tmp_path: Path) -> None:
    store, records, reconciler = await opened(tmp_path)
    booking = Booking(guest="g", urn="u", deed=2, host="h", ports=("a",))
    records.stage([replace(PORT, device="g", deed=2, device_owner="compute:nova"), booking], "test")
    reconciler.heed([Intent(guest="g", refused_deed=1)])
    assert [port.device for port in records.holdings.ports.values()] == ["g"]
    reconciler.heed([Intent(guest="g", refused_deed=2)])
    assert [port.device for port in records.holdings.ports.values()] == [""]
    await store.close()


async def test_contradictions_are_said(tmp_path: Path) -> None:
    store, records, reconciler = await opened(tmp_path)
    records.stage([PORT, replace(PORT, id="b", device="g", deed=1)], "test")
    records.stage([Booking(guest="other", urn="u", deed=1, host="h", ports=("c",))], "test")
    records.stage([Sight(host="h", guest="other", deed=2, here=True)], "test")
    said = " ".join(reconciler.look())
    for part in ("MAC address m has 2", "address 10.0.0.2", "network n", "subnet s", "no booking", "port c", "deed 2"):
        assert part in said
    await store.close()


async def test_memory_follows_the_rows(tmp_path: Path) -> None:
    store, records, reconciler = await opened(tmp_path)
    records.stage([PORT], "test")
    sight = Sight(host="h", guest="g", ended=1)
    await store.commit([put("a", replace(PORT, mac="other")), keep_private("sight", "h/g", encode(sight))], "behind")
    reconciler.look()
    assert records.holdings.macs == {"other": "a"}
    assert records.holdings.sight("h", "g").ended == 1
    await store.close()
