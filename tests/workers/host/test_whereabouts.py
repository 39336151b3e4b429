"""Where ports are, kept up entry by entry."""

from msgspec.structs import replace

from freehold.drivers.fabric.interface import Elsewhere
from freehold.vocabulary.network import Carrier, Port
from freehold.workers.host.whereabouts import Whereabouts


def a_port(key: str, host: str, network: str = "n") -> Port:
    return Port(id=key, project="p", network=network, mac=f"mac-{key}", host=host)


def known(*ports: Port) -> Whereabouts:
    """What `me` knows: two other hosts, and these ports."""
    whereabouts = Whereabouts()
    for host, address in (("me", "192.0.2.1"), ("two", "192.0.2.2"), ("three", "192.0.2.3")):
        whereabouts.put_carrier(host, Carrier(host=host, address=address))
    for port in ports:
        whereabouts.put_port(None, port)
    return whereabouts


def test_one_s_own_ports_those_of_no_host_and_those_of_hosts_without_underlay_are_left_out() -> None:
    ports = [a_port("c", "two"), a_port("a", "three"), a_port("own", "me"), a_port("free", ""), a_port("lost", "four")]
    whereabouts = known(*ports, a_port("x", "two", "other"))
    assert whereabouts.of("n", "me").ports == (("mac-a", "192.0.2.3"), ("mac-c", "192.0.2.2"))
    assert whereabouts.of("other", "me").ports == (("mac-x", "192.0.2.2"),)
    assert whereabouts.of("unheard of", "me") == Elsewhere(network="unheard of", ports=())
    assert whereabouts.hosts() == ("192.0.2.1", "192.0.2.2", "192.0.2.3")


def test_a_port_that_moves_or_goes_is_where_it_is_said_to_be_last() -> None:
    port = a_port("a", "two")
    whereabouts = known(port)
    assert whereabouts.of("n", "me").ports == (("mac-a", "192.0.2.2"),)
    moved = replace(port, host="three")
    whereabouts.put_port(port, moved)
    assert whereabouts.of("n", "me").ports == (("mac-a", "192.0.2.3"),)
    here = replace(port, host="me")
    whereabouts.put_port(moved, here)
    assert whereabouts.of("n", "me").ports == ()
    whereabouts.put_port(here, port)
    whereabouts.put_port(port, None)
    assert whereabouts.of("n", "me").ports == ()


def test_a_host_that_comes_moves_or_goes_on_the_underlay_takes_its_ports_along() -> None:
    whereabouts = known(a_port("a", "four"))
    assert whereabouts.of("n", "me").ports == ()
    for address in ("192.0.2.4", "192.0.2.44"):
        whereabouts.put_carrier("four", Carrier(host="four", address=address))
        assert whereabouts.of("n", "me").ports == (("mac-a", address),)
    whereabouts.put_carrier("four", None)
    assert whereabouts.of("n", "me").ports == ()
    assert "192.0.2.44" not in whereabouts.hosts()


def test_hosts_that_know_it_together_each_leave_their_own_ports_out() -> None:
    whereabouts = known(a_port("a", "two"), a_port("b", "three"))
    assert whereabouts.of("n", "two").ports == (("mac-b", "192.0.2.3"),)
    assert whereabouts.of("n", "three").ports == (("mac-a", "192.0.2.2"),)
    assert whereabouts.of("n", "two") is whereabouts.of("n", "two"), "the same until something changes"
    whereabouts.put_port(None, a_port("c", "me"))
    assert whereabouts.of("n", "two").ports == (("mac-b", "192.0.2.3"), ("mac-c", "192.0.2.1"))


def test_what_is_cleared_is_gone() -> None:
    whereabouts = known(a_port("a", "two"))
    assert whereabouts.of("n", "me").ports and whereabouts.hosts()
    whereabouts.clear()
    assert (whereabouts.of("n", "me").ports, whereabouts.hosts()) == ((), ())
