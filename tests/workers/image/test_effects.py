"""Effects that meet a world that isn't there."""

from freehold.bus.local import LocalBus
from freehold.drivers.imagestore.memory import MemoryImageStore
from freehold.vocabulary.errors import Fault, Unavailable
from freehold.workers.image.effects import Effects
from freehold.workers.image.lifecycle import Arrived, Bad, CutOff
from tests.drivers.imagestore.crafted import qcow2, vmdk_descriptor
from tests.workers.image.bench import IMAGE, a_build, chunks


async def test_taking_says_what_came_of_it() -> None:
    effects = Effects(MemoryImageStore(room_bytes=1 << 20), LocalBus())
    assert isinstance(await effects.take(IMAGE, "qcow2", chunks(qcow2())), Arrived)
    assert isinstance(await effects.take(IMAGE, "raw", chunks(qcow2())), Bad)
    assert isinstance(await effects.take(IMAGE, "raw", chunks(vmdk_descriptor("/etc/shadow"))), Bad)
    assert isinstance(await effects.take(IMAGE, "raw", chunks(b"")), Bad)
    assert isinstance(await effects.take(IMAGE, "raw", chunks(b"x", then=Unavailable("it broke."))), CutOff)
    assert isinstance(await effects.take(IMAGE, "raw", chunks(b"x" * (2 << 20))), CutOff)


async def test_a_registrar_that_does_not_answer_is_no_error_here() -> None:
    await Effects(MemoryImageStore(), LocalBus()).give_up(a_build(), Fault(code="NotFound", message="gone."))
