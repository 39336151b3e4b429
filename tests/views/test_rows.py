"""The file under the API's view: order, pages, deeds, and what survives a restart."""

from collections.abc import Iterator
from itertools import count, pairwise, permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from freehold.views import rows as rows_module
from freehold.views.complete import END, START
from freehold.views.rows import KEPT_CHANGES, RowFile
from freehold.vocabulary.aggregate import Aggregate
from freehold.vocabulary.codec import KINDS, decode, encode
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Entry, Owner, Position, Row
from freehold.vocabulary.errors import Fault, NotFound
from freehold.vocabulary.guest import Action, Guest, GuestSpec, Labels, Refusal
from freehold.vocabulary.request import Admission
from freehold.vocabulary.tenant import KeyPair
from freehold.vocabulary.word import Word
from tests.owners import FLAVOR, a_guest, replace_all

NOW = count(1).__next__
"""A clock that goes on by one each time."""

AGGREGATE = Aggregate(id="a", number=1, name="a")
A, B = (Owner(store=f"{n}" * 36, role="host", cluster="c") for n in "ab")


def an_admission(guest: str) -> Admission:
    spec = GuestSpec(flavor=FLAVOR, image="")
    fields = {"project": "p", "user": "u", "urn": "urn:1", "hostname": "h", "labels": Labels(name="n")}
    return Admission(guest=guest, created=1, spec=spec, **fields)  # type: ignore[arg-type]


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[RowFile]:
    made = RowFile(tmp_path / "view", "boot", NOW)
    yield made
    made.close()


class Teller:
    """Tells a file of an owner's changes, with the next sequence."""

    def __init__(self, rows: RowFile) -> None:
        self.rows, self.seq = rows, 0

    def put(self, owner: Owner, kind: str, key: str, record: Word | None) -> None:
        self.seq += 1
        entry = Entry(self.seq, 1, kind, key, None if record is None else encode(record), "t", b"")
        self.rows.apply(owner, Position(epoch="e", seq=self.seq), [entry])

    def guest(self, owner: Owner, key: str, deed: int = 1, project: str = "p", created: int = 0) -> None:
        self.put(owner, "guest", key, a_guest(key, owner.store, deed, project=project, created=created))


def listed(rows: RowFile, project: str | None = "p", after: str = "", newest_first: bool = False) -> list[str]:
    return [decode(value, Guest).id for value in rows.list("guest", project, after, newest_first)]


def shown(rows: RowFile, key: str) -> tuple[str, int] | None:
    value = rows.get("guest", key)
    return None if value is None else (decode(value, Guest).host, decode(value, Guest).deed)


def test_rows_are_in_order_of_creation_within_a_project(rows: RowFile) -> None:
    tell = Teller(rows)
    for key, project, created in (("x", "p", 3), ("a", "p", 7), ("m", "p", 5), ("other", "q", 4), ("z", "pp", 1)):
        tell.guest(A, key, project=project, created=created)
    assert listed(rows) == ["x", "m", "a"]
    assert listed(rows, newest_first=True) == ["a", "m", "x"]
    assert listed(rows, None) == ["x", "m", "a", "z", "other"]
    assert listed(rows, None, newest_first=True) == ["other", "z", "a", "m", "x"]
    assert listed(rows, after="m") == ["a"] and listed(rows, after="m", newest_first=True) == ["x"]
    assert listed(rows, "nobody") == []


@pytest.mark.parametrize(("project", "after"), [("p", "unknown"), ("q", "mine"), (None, "unknown")])
def test_a_marker_that_isnt_there_is_not_found(rows: RowFile, project: str | None, after: str) -> None:
    Teller(rows).guest(A, "mine")
    with pytest.raises(NotFound):
        listed(rows, project, after)


@settings(max_examples=30)
@given(
    created=st.lists(st.integers(0, 300), min_size=1, max_size=40),
    size=st.integers(1, 7),
    newest_first=st.booleans(),
    goes=st.sets(st.integers(0, 39)),
)
def test_pages_neither_skip_nor_double_what_was_there_throughout(
    tmp_path_factory: pytest.TempPathFactory, created: list[int], size: int, newest_first: bool, goes: set[int]
) -> None:
    rows = RowFile(tmp_path_factory.mktemp("v") / "view", "boot", NOW)
    tell = Teller(rows)
    for number, time in enumerate(created):
        tell.guest(A, f"{number}", created=time)
    found: list[str] = []
    while True:
        page = listed(rows, after=found[-1] if found else "", newest_first=newest_first)[:size]
        if not page:
            break
        found += page
        for number in {number for number in goes if f"{number}" != found[-1] and number < len(created)}:
            tell.put(A, "guest", f"{number}", None)  # others come and go between pages
        tell.guest(A, f"new{len(found)}", created=len(found) * 37 % 300)
    stayed = [f"{number}" for number in range(len(created)) if number not in goes]
    seen = [key for key in found if key in stayed]
    order = {f"{number}": (time, f"{number}") for number, time in enumerate(created)}
    assert seen == sorted(stayed, key=lambda key: order[key], reverse=newest_first)
    assert len(found) == len(set(found))
    rows.close()


def test_a_list_longer_than_a_batch_is_whole(rows: RowFile) -> None:
    tell = Teller(rows)
    keys = [f"{number:04}" for number in range(600)]
    for number, key in enumerate(keys):
        tell.guest(A, key, created=number)
    assert listed(rows) == keys and listed(rows, newest_first=True) == keys[::-1]


def test_a_record_that_changes_its_place_is_there_once(rows: RowFile) -> None:
    tell = Teller(rows)
    tell.guest(A, "g", created=1)
    tell.guest(A, "g", created=9)
    assert listed(rows) == ["g"]


def test_the_record_under_the_highest_deed_is_shown(rows: RowFile) -> None:
    tell = Teller(rows)
    tell.guest(A, "g", deed=1)
    tell.guest(B, "g", deed=2)
    assert shown(rows, "g") == (B.store, 2)
    tell.guest(A, "g", deed=1)  # a late word of the old host
    assert shown(rows, "g") == (B.store, 2) and listed(rows) == ["g"]
    tell.put(A, "guest", "g", None)  # and its end
    assert shown(rows, "g") == (B.store, 2)


@pytest.mark.parametrize("first", [A, B])
def test_of_one_request_on_two_hosts_the_action_under_the_higher_deed_is_shown(rows: RowFile, first: Owner) -> None:
    tell, deeds = Teller(rows), {A.store: 3, B.store: 2}
    for owner in (first, B if first is A else A):
        action = Action(guest="g", project="p", urn="u", action="create", user="u", started=1, deed=deeds[owner.store])
        tell.put(owner, "action", "g/u", action)
    assert rows.holder("action", "g/u") == A.store


@pytest.mark.parametrize("first", [A, B])
def test_of_two_records_that_nothing_tells_apart_the_same_is_shown_whatever_came_first(
    rows: RowFile, first: Owner
) -> None:
    tell = Teller(rows)
    for owner in (first, B if first is A else A):
        tell.guest(owner, "g", deed=1)
    assert shown(rows, "g") == (B.store, 1)


def test_when_the_highest_goes_the_next_is_shown(rows: RowFile) -> None:
    tell = Teller(rows)
    tell.guest(B, "g", deed=2)
    tell.guest(A, "g", deed=1)
    assert shown(rows, "g") == (B.store, 2)
    tell.put(B, "guest", "g", None)
    assert shown(rows, "g") == (A.store, 1) and listed(rows) == ["g"]
    tell.put(A, "guest", "g", None)
    assert shown(rows, "g") is None and listed(rows) == []


def test_a_shadowed_host_that_gets_a_higher_deed_is_shown(rows: RowFile) -> None:
    tell = Teller(rows)
    tell.guest(A, "g", deed=1)
    tell.guest(B, "g", deed=2)
    tell.guest(A, "g", deed=3)
    assert shown(rows, "g") == (A.store, 3)
    tell.put(A, "guest", "g", None)
    assert shown(rows, "g") == (B.store, 2)


def test_a_complete_state_drops_what_is_absent_of_that_owner_alone(rows: RowFile) -> None:
    tell = Teller(rows)
    for owner, key in ((A, "gone"), (A, "kept"), (B, "others")):
        tell.guest(owner, key)
    tell.guest(A, "both", deed=1)
    tell.guest(B, "both", deed=2)
    new = [Row("guest", key, 1, encode(a_guest(key, A.store))) for key in ("kept", "new")]
    replace_all(rows, A, Position(epoch="f", seq=4), new)
    assert listed(rows) == ["both", "kept", "new", "others"]
    replace_all(rows, B, Position(epoch="f", seq=4), [])
    assert listed(rows) == ["kept", "new"], "what A no longer has came back from the shadow"


def test_keyed_gives_a_prefix_in_key_order(rows: RowFile) -> None:
    tell = Teller(rows)
    for key in ("u/b", "u/a", "uu/c", "t/z"):
        user, name = key.split("/")
        tell.put(A, "key_pair", key, KeyPair(user=user, name=name, public_key="k", fingerprint="f"))
    assert [decode(value, KeyPair).name for value in rows.keyed("key_pair", "u/")] == ["a", "b"]


def test_long_keys_are_told_apart(rows: RowFile) -> None:
    tell = Teller(rows)
    for end in "xy":
        name = "n" * 600 + end
        tell.put(A, "key_pair", f"u/{name}", KeyPair(user="u", name=name, public_key=end, fingerprint="f"))
    assert len(list(rows.keyed("key_pair", "u/"))) == 2
    tell.put(A, "key_pair", "u/" + "n" * 600 + "x", None)
    (left,) = rows.keyed("key_pair", "u/")
    assert decode(left, KeyPair).public_key == "y"


def test_unknown_kinds_are_passed_over_but_counted(rows: RowFile) -> None:
    entry = Entry(1, 1, "kind of tomorrow", "k", b"?", "t", b"")
    rows.apply(A, Position(epoch="e", seq=1), [entry])
    assert rows.positions()[A.store].position.seq == 1


def test_a_negative_time_is_no_reason_to_stop(rows: RowFile) -> None:
    Teller(rows).guest(A, "g", created=-5)
    assert listed(rows) == ["g"]


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("boot", ["boot", "after a power cut"])
def test_what_survives_a_restart(tmp_path: Path, clean: bool, boot: str) -> None:
    rows = RowFile(tmp_path / "view", "boot", NOW)
    Teller(rows).guest(A, "g")
    if clean:
        rows.close()
    else:
        rows.keep()
        rows.abandon()  # the process was killed
    again = RowFile(tmp_path / "view", boot, NOW)
    survived = clean or boot == "boot"
    assert listed(again) == (["g"] if survived else [])
    assert set(again.positions()) == ({A.store} if survived else set())
    again.close()


def test_what_is_shown_again_is_shown_as_it_is_told_from_then_on(rows: RowFile) -> None:
    """A record that another owner's had the place of, and that wasn't kept for what it was then."""
    tell = Teller(rows)
    tell.guest(A, "g", deed=1)
    tell.guest(B, "g", deed=2)
    assert shown(rows, "g") == (B.store, 2)
    rows.keep()
    tell.put(B, "guest", "g", None)
    assert shown(rows, "g") == (A.store, 1)
    tell.guest(A, "g", deed=3)
    rows.keep()
    tell.put(LEDGER, "admission", "g", an_admission("g"))
    assert shown(rows, "g") == (A.store, 3)


def test_what_wasnt_kept_is_lost_with_its_position(tmp_path: Path) -> None:
    rows = RowFile(tmp_path / "view", "boot", NOW)
    teller = Teller(rows)
    teller.guest(A, "kept")
    rows.keep()
    stood = rows.positions()
    teller.guest(A, "lost")
    assert listed(rows) == ["kept", "lost"] and rows.positions() != stood
    rows.abandon()
    again = RowFile(tmp_path / "view", "boot", NOW)
    assert listed(again) == ["kept"] and again.positions() == stood
    again.close()


def test_many_changes_are_kept_without_a_word(tmp_path: Path) -> None:
    rows = RowFile(tmp_path / "view", "boot", NOW)
    teller = Teller(rows)
    for number in range(KEPT_CHANGES):
        teller.guest(A, f"{number:03}")
    rows.abandon()
    again = RowFile(tmp_path / "view", "boot", NOW)
    assert len(listed(again)) == again.positions()[A.store].position.seq > 0
    again.close()


def test_a_second_power_cut_is_seen_too(tmp_path: Path) -> None:
    RowFile(tmp_path / "view", "1", NOW).close()
    rows = RowFile(tmp_path / "view", "2", NOW)
    Teller(rows).guest(A, "g")
    rows.keep()
    rows.abandon()
    again = RowFile(tmp_path / "view", "3", NOW)
    assert listed(again) == []
    again.close()


def test_a_file_of_a_release_that_knew_fewer_kinds_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {kind: shape for kind, shape in KINDS.items() if kind != "aggregate"}
    with monkeypatch.context() as before:
        before.setattr(rows_module, "KINDS", kinds)
        older = RowFile(tmp_path / "view", "boot", NOW)
        Teller(older).put(Owner(store="r" * 36, role="registrar", cluster="c"), "aggregate", "a", AGGREGATE)
        assert older.get("aggregate", "a") is None and older.positions()
        older.close()
    newer = RowFile(tmp_path / "view", "boot", NOW)
    assert not newer.positions(), "it asks for all of it anew"
    newer.close()


@pytest.mark.parametrize("damage", [b"", b"nonsense" * 4096])
def test_a_damaged_file_is_built_again(tmp_path: Path, damage: bytes) -> None:
    rows = RowFile(tmp_path / "view", "boot", NOW)
    Teller(rows).guest(A, "g")
    rows.close()
    (tmp_path / "view" / "data.mdb").write_bytes(damage)
    again = RowFile(tmp_path / "view", "boot", NOW)
    assert listed(again) == [] and not again.positions()
    Teller(again).guest(A, "h")
    assert listed(again) == ["h"]
    again.close()


def test_what_is_learned_has_a_time_that_never_goes_back(rows: RowFile, tmp_path: Path) -> None:
    tell = Teller(rows)
    tell.guest(A, "g")
    first = rows.learned("guest", "g")
    assert first > 0 == rows.learned("guest", "unknown")
    tell.guest(A, "other")
    assert rows.learned("guest", "g") == first < rows.learned("guest", "other")
    tell.guest(A, "g", deed=2)
    assert rows.learned("guest", "g") > rows.learned("guest", "other")


def test_a_complete_state_teaches_only_what_is_new(rows: RowFile) -> None:
    tell = Teller(rows)
    tell.guest(A, "same")
    tell.guest(A, "other")
    before = rows.learned("guest", "same")
    state = [Row("guest", "same", 1, encode(a_guest("same", A.store, 1, project="p", created=0)))]
    state += [Row("guest", "other", 2, encode(a_guest("other", A.store, 2)))]
    replace_all(rows, A, Position(epoch="f", seq=9), state)
    assert rows.learned("guest", "same") == before < rows.learned("guest", "other")


def test_what_a_host_says_is_a_change_of_the_admission(rows: RowFile) -> None:
    tell = Teller(rows)
    tell.put(B, "admission", "g", an_admission("g"))
    times = [rows.learned("admission", "g")]
    tell.guest(A, "g")
    times.append(rows.learned("admission", "g"))
    tell.put(A, "guest", "g", None)
    times.append(rows.learned("admission", "g"))
    assert times == sorted(set(times))
    value = rows.get("admission", "g")
    assert value is not None and decode(value, Admission) == an_admission("g")


def test_positions_say_until_when_all_is_known(rows: RowFile) -> None:
    replace_all(rows, A, Position(epoch="e", seq=1), [])
    whole = rows.positions()[A.store]
    assert whole.until == whole.learned > 0
    rows.apply(A, Position(epoch="e", seq=2), [Entry(2, 1, "guest", "g", None, "t", b"")])
    assert rows.positions()[A.store].until == 1, "what the owner wrote after that entry isn't known"


# --- what a host claims, and what the ledger has given

LEDGER = Owner(store="r" * 36, role="registrar", cluster="c")


def give(tell: Teller, owner: Owner, number: int, guest: str = "g") -> None:
    deed = Deed(guest=guest, project="p", number=number, host=owner.store, cluster="c", urn="urn:1")
    tell.put(LEDGER, "admission", guest, replace(an_admission(guest), deed=deed))


def claim(tell: Teller, kind: str, owner: Owner, deed: int) -> None:
    match kind:
        case "guest":
            tell.guest(owner, "g", deed=deed)
        case "action":
            record = Action(guest="g", project="p", urn="u", action="create", user=owner.store, deed=deed, started=1)
            tell.put(owner, "action", "g/u", record)
        case _:
            fault = Fault(code="NoRoom", message=owner.store)
            tell.put(owner, "refusal", "g", Refusal(guest="g", project="p", deed=deed, urn="u", fault=fault))


@pytest.mark.parametrize("kind", ["guest", "action", "refusal"])
@pytest.mark.parametrize("order", list(permutations(["ledger", "holder", "liar"])))
@pytest.mark.parametrize("claimed", [1, 2, 99])
def test_the_host_that_the_ledger_names_is_shown_whatever_another_claims(
    rows: RowFile, kind: str, order: tuple[str, ...], claimed: int
) -> None:
    tell = Teller(rows)
    for who in order:
        if who == "ledger":
            give(tell, A, 2)
        else:
            claim(tell, kind, A if who == "holder" else B, 2 if who == "holder" else claimed)
    assert rows.holder(kind, "g/u" if kind == "action" else "g") == A.store


def test_a_guest_that_is_given_to_another_is_shown_there(rows: RowFile) -> None:
    tell = Teller(rows)
    give(tell, A, 1)
    tell.guest(A, "g", deed=1)
    tell.guest(B, "g", deed=2)
    assert shown(rows, "g") == (A.store, 1), "a claim, as far as is known"
    give(tell, B, 2)
    assert shown(rows, "g") == (B.store, 2)


@pytest.mark.parametrize("kind", ["guest", "action", "refusal"])
def test_who_is_shown_and_says_less_now_lets_another_be_shown(rows: RowFile, kind: str) -> None:
    """Its disk was put back to an old copy, whose record it has written anew."""
    tell = Teller(rows)
    claim(tell, kind, B, 3)
    claim(tell, kind, A, 2)
    claim(tell, kind, B, 1)
    assert rows.holder(kind, "g/u" if kind == "action" else "g") == A.store
    claim(tell, kind, B, 3)
    assert rows.holder(kind, "g/u" if kind == "action" else "g") == B.store


def test_without_the_ledger_there_are_only_claims(rows: RowFile) -> None:
    tell = Teller(rows)
    give(tell, A, 1)
    tell.guest(A, "g", deed=1)
    tell.guest(B, "g", deed=9)
    tell.put(LEDGER, "admission", "g", None)
    assert shown(rows, "g") == (B.store, 9)


def test_an_owner_that_is_forgotten_leaves_what_others_have(rows: RowFile) -> None:
    tell = Teller(rows)
    give(tell, A, 2)
    for owner in (A, B):
        tell.guest(owner, "g", deed=2 if owner is A else 1)
        tell.guest(owner, f"only {owner.store[0]}")
    rows.forget(A.store)
    assert shown(rows, "g") == (B.store, 1)
    assert shown(rows, "only a") is None and shown(rows, "only b") is not None
    assert set(rows.positions()) == {B.store, LEDGER.store}


def test_what_an_owner_has_itself_is_known_though_another_is_shown(rows: RowFile) -> None:
    tell = Teller(rows)
    tell.guest(A, "g", deed=1)
    tell.guest(B, "g", deed=2)
    own = {owner.store: rows.own(owner.store, "guest", "g") for owner in (A, B)}
    assert {store: decode(value, Guest).deed for store, value in own.items() if value} == {A.store: 1, B.store: 2}
    assert rows.own("nobody", "guest", "g") is None and rows.own(A.store, "guest", "none") is None


def test_an_action_is_found_by_its_request_and_nobody_takes_it_over(rows: RowFile) -> None:
    tell = Teller(rows)
    urn = "urn:freehold:request:1"
    mine = Action(guest="g", project="p", urn=urn, action="stop", user="u", started=5)
    tell.put(A, "action", f"g/{urn}", mine)
    tell.put(B, "action", f"x/{urn}", replace(mine, guest="x", project="q"))
    assert rows.action_of(urn) == f"g/{urn}"
    tell.put(B, "action", f"x/{urn}", None)
    assert rows.action_of(urn) == f"g/{urn}"
    tell.put(A, "action", f"g/{urn}", None)
    assert rows.action_of(urn) == ""


def test_actions_are_in_order_of_their_beginning(rows: RowFile) -> None:
    tell = Teller(rows)
    for number in (3, 1, 2):
        action = Action(guest=f"g{9 - number}", project="p", urn="u", action="stop", user="u", started=number)
        tell.put(A, "action", f"{action.guest}/u", action)
    assert [decode(value, Action).started for value in rows.list("action", "p", "", True)] == [3, 2, 1]


def test_a_part_ends_what_is_absent_of_it_alone_whatever_the_length_of_the_keys(rows: RowFile) -> None:
    alike = "x" * 310  # longer keys are cut, and made unique by a hash: their order among themselves is another
    keys = [f"{alike}{number}" for number in range(12)]
    tell = Teller(rows)
    for key in ("a", *keys, "z"):
        tell.guest(A, key)
    tell.guest(B, f"{alike}others")
    rows.begin(A)
    bounds = [START, *(("guest", key) for key in sorted(keys)[2::3]), END]
    for above, upto in pairwise(bounds):
        stay = [key for key in ("a", *keys[::2]) if above < ("guest", key) <= upto]
        rows.take_part(A, above, upto, [Row("guest", key, 1, encode(a_guest(key, A.store))) for key in sorted(stay)])
        assert {*stay} <= {*listed(rows)}
    rows.replaced(A, Position(epoch="f", seq=20))
    assert sorted(listed(rows)) == sorted(["a", *keys[::2], f"{alike}others"])


def test_a_process_that_ends_in_the_middle_of_a_complete_state_isnt_whole(tmp_path: Path) -> None:
    rows = RowFile(tmp_path / "view", "boot", NOW)
    Teller(rows).guest(A, "a")
    stood = rows.positions()[A.store]
    rows.begin(A)
    rows.take_part(A, START, ("guest", "b"), [Row("guest", "b", 1, encode(a_guest("b", A.store)))])
    rows.keep()
    rows.abandon()
    again = RowFile(tmp_path / "view", "boot", NOW)
    stands = again.positions()[A.store]
    assert stood.is_whole and not stands.is_whole and stands.position == stood.position
    assert listed(again) == ["b"]
    again.close()
