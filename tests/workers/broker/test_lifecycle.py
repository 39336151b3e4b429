"""What a server is told, as text, and which news changes it."""

from msgspec.structs import replace

from freehold.bus import tickets
from freehold.runtime.keys import SigningKey
from freehold.vocabulary.machine import Roll
from freehold.vocabulary.secret import Secret
from freehold.workers.broker import lifecycle
from freehold.workers.broker.lifecycle import Keys, Place, Tls

AUTHORITY = SigningKey(bytes(32))
MACHINES = tickets.account(AUTHORITY.public)
ROLL = tickets.roll(AUTHORITY, {}, 5)
OTHER = tickets.roll(AUTHORITY, {bytes(32): 1}, 6)
KEYS = Keys(ROLL, Secret("route password"), Secret("ticket and key"), 1000)
TLS = Tls("/c.pem", "/k.pem", "/ca.pem")


def told(place: Place) -> tuple[str, dict[str, str]]:
    made = {name: secret.reveal() for name, secret in lifecycle.files(place, KEYS, "/folder").items()}
    return made.pop("server.conf"), made


def test_a_server_alone_takes_machines_by_ticket_and_nobody_else() -> None:
    text, others = told(Place("b", "default", "10.0.0.1:4222", tls=TLS))
    assert f"operator: {ROLL.charter}\n" in text and all(f"{name}: {jwt}" in text for name, jwt in ROLL.accounts)
    assert 'listen: "10.0.0.1:4222"' in text
    assert 'tls { cert_file: "/c.pem", key_file: "/k.pem", ca_file: "/ca.pem" }' in text
    assert "leafnodes" not in text and "cluster {" not in text and "route password" not in text and not others
    assert "no_auth_user" not in text and "http" not in text


def test_a_server_that_others_are_linked_to_says_where() -> None:
    place = Place("b", "default", "127.0.0.1:1", link_listen="0.0.0.0:7422", link_advertised="hub:7422", tls=TLS)
    text, others = told(place)
    linked = text[text.index("leafnodes") :]
    assert '  listen: "0.0.0.0:7422"' in linked and '  advertise: "hub:7422"' in linked and "cert_file" in linked
    assert "remotes" not in linked and not others


def test_a_server_of_a_cluster_is_linked_with_its_ticket() -> None:
    place = Place("b", "c1", "127.0.0.1:1", hub=("tls://a:7422", "tls://b:7422"), ca="/ca.pem")
    text, others = told(place)
    assert 'urls: ["tls://a:7422", "tls://b:7422"]' in text and f"account: {MACHINES}" in text
    assert 'credentials: "/folder/credentials"' in text and 'tls { ca_file: "/ca.pem" }' in text
    assert others == {"credentials": "ticket and key"} and "ticket and key" not in text


def test_servers_of_one_cluster_know_each_other_by_a_password() -> None:
    place = Place("b", "default", "127.0.0.1:1", route_listen="127.0.0.1:6222", routes=("x:6222",), tls=TLS)
    text, _ = told(place)
    assert 'authorization { user: freehold, password: "route password" }' in text
    assert '"nats://freehold:route password@x:6222"' in text
    assert text.count("cert_file") == 2, "machines, and the other servers"


def test_what_an_operator_has_written_stays_in_its_quotes() -> None:
    text, _ = told(Place('b" \n no_auth_user: "x', "default", "127.0.0.1:1"))
    assert "\nno_auth_user" not in text and "\n no_auth_user" not in text


def test_the_newest_roll_is_held_and_told_if_it_differs() -> None:
    assert lifecycle.newer(ROLL, OTHER) and not lifecycle.newer(OTHER, ROLL) and not lifecycle.newer(ROLL, ROLL)
    assert lifecycle.changes(ROLL, OTHER) and not lifecycle.changes(ROLL, replace(ROLL, time=9))


def test_a_roll_of_another_authority_or_with_more_than_text_is_refused() -> None:
    assert lifecycle.is_sound(OTHER, MACHINES)
    other = tickets.roll(SigningKey(bytes([1]) * 32), {}, 9)
    assert not lifecycle.is_sound(other, MACHINES)
    for bad in (
        Roll(time=9, charter=ROLL.charter, accounts=()),
        replace(ROLL, charter=ROLL.charter + "\nno_auth_user: x"),
        replace(ROLL, accounts=(*ROLL.accounts, ("A }", "x"))),
        replace(ROLL, accounts=((MACHINES, ""),)),
    ):
        assert not lifecycle.is_sound(bad, MACHINES)
