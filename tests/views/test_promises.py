"""Room that was promised: what is made is ended once, and nothing of it is left."""

from freehold.views.promises import Promises
from freehold.vocabulary.host import Capacity

ONE, TWO = (Capacity(vcpus=n, ram_mib=n, disk_gib=n) for n in (1, 2))


def test_a_promise_ends_once() -> None:
    promises = Promises()
    promises.make("a", "h", ONE, 10.0)
    promises.make("b", "h", TWO, 11.0)
    assert promises.at("h") == [ONE, TWO] and (promises.host_of("a"), promises.host_of("c")) == ("h", "")
    assert promises.end("a") == ("h", ONE) and promises.end("a") is None
    assert promises.at("h") == [TWO] and promises.host_of("a") == ""
    assert promises.end("b") == ("h", TWO) and promises.at("h") == [] and not promises._at


def test_those_that_have_lasted_long_enough() -> None:
    promises, ended = Promises(), list[str]()
    for number, guest in enumerate("abc"):
        promises.make(guest, "h", ONE, 10.0 + number)
    for guest in promises.past(11.0):
        promises.end(guest)
        ended.append(guest)
    assert ended == ["a", "b"] and promises.at("h") == [ONE]
