"""Who is fenced, by what several shards have told."""

from msgspec.structs import replace

from freehold.views.fences import Fences
from freehold.vocabulary.fence import Fence, fence_key

FENCE = Fence(host="h1", shard=0, name="rack-7", user="op", evidence="its plug is out", time=1)
HERE, THERE = fence_key("h1", 0), fence_key("h1", 1)


def test_one_shard_is_enough() -> None:
    fences = Fences()
    fences.learn("r0", HERE, FENCE)
    fences.learn("r1", THERE, replace(FENCE, shard=1))
    fences.learn("r0", HERE, replace(FENCE, lifted=2))
    assert fences.hosts() == {"h1"}
    fences.learn("r1", THERE, replace(FENCE, shard=1, lifted=2))
    assert not fences.hosts()


def test_what_a_complete_state_has_not_is_gone() -> None:
    fences = Fences()
    fences.learn("r0", HERE, FENCE)
    fences.keep_only("r1", ())
    assert fences.hosts() == {"h1"}
    fences.keep_only("r0", ())
    assert not fences.hosts()
