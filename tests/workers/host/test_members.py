"""The members of a group are those of its ports, whatever came in which order."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from freehold.workers.host.members import GroupMembers

ADDRESSES = st.lists(st.sampled_from("abc"), max_size=2)
STEP = st.tuples(st.sampled_from("123"), st.none() | ADDRESSES, st.booleans())


@given(st.lists(STEP, max_size=12))
def test_they_are_the_addresses_of_the_ports_each_once(steps: Sequence[tuple[str, list[str] | None, bool]]) -> None:
    members, ports = GroupMembers("g"), dict[str, list[str]]()
    for port, addresses, is_looked_at in steps:
        if addresses is None:
            members.drop(port)
            ports.pop(port, None)
        else:
            members.put(port, addresses)
            ports[port] = addresses
        if is_looked_at:
            members.told()
    told = members.told()
    assert sorted(told.addresses) == sorted({address for of_port in ports.values() for address in of_port})
    assert members.told() is told, "it is the same object until it changes"
    assert bool(members) is bool(ports)


def test_who_comes_is_added_to_those_who_are_there() -> None:
    members = GroupMembers("g")
    members.put("1", ["a"])
    before = members.told()
    members.put("2", ["b"])
    assert members.told().addresses == ("a", "b")
    assert before.addresses == ("a",), "what was told stays as it was"
