"""What this host's network things are called."""

import uuid

from freehold.drivers.fabric import names

HOST, OTHER_HOST, NETWORK, OTHER = (str(uuid.UUID(int=number << 96 | number)) for number in range(1, 5))


def test_every_link_name_fits_into_what_linux_allows() -> None:
    made = [names.tap(NETWORK)]
    made += [name(HOST, NETWORK) for name in (names.bridge, names.router_port, names.uplink)]
    assert all(len(name.encode()) <= 15 for name in made)
    assert len(set(made)) == len(made)


def test_two_hosts_on_one_machine_name_the_same_network_differently() -> None:
    for name in (names.bridge, names.router_port, names.uplink, names.namespace):
        assert name(HOST, NETWORK) != name(OTHER_HOST, NETWORK)
        assert name(HOST, NETWORK) != name(HOST, OTHER)


def test_an_alias_gives_its_id_back_to_its_own_host_only() -> None:
    alias = names.alias(HOST, NETWORK)
    assert names.aliased(HOST, alias) == NETWORK
    assert names.aliased(OTHER_HOST, alias) is None
    assert names.aliased(HOST, None) is None
    assert names.aliased(HOST, "somebody else's") is None


def test_a_namespace_begins_with_its_hosts_prefix() -> None:
    assert names.namespace(HOST, NETWORK).startswith(names.namespace_prefix(HOST))
    assert not names.namespace(OTHER_HOST, NETWORK).startswith(names.namespace_prefix(HOST))
