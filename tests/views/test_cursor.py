"""A place in many logs: it comes back as it was told, and what is no such text leads nowhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.views.cursor import FULL, OWED_MAX, TEXT_BYTES_MAX, Cursor, Place, Unknown, mark, read

SEQ = st.integers(0, 2**60)
STORE = st.text("abcdef", min_size=1, max_size=8)


@given(seen=st.dictionaries(STORE, SEQ, max_size=20), owed=st.sets(SEQ, max_size=OWED_MAX))
def test_a_place_comes_back_as_it_was_told(seen: dict[str, int], owed: set[int]) -> None:
    places = [Place(store, "e", seq) for store, seq in seen.items()]
    owing = {Place(next(iter(seen)), "e", seq) for seq in owed} if seen else set()
    cursor = Cursor("p", places, owing)
    back = read("p", cursor.text(), dict.fromkeys(seen, "e") | {"stranger": "e"})
    assert (back.seen, back.owed) == (cursor.seen, cursor.owed)


def test_another_epoch_or_project_is_not_gone_on_from() -> None:
    text = Cursor("p", [Place("s", "e", 7)]).text()
    for project, epochs in (("p", {"s": "f"}), ("q", {"s": "e"}), ("p", {})):
        with pytest.raises(Unknown):
            read(project, text, epochs)


@given(text=st.one_of(st.text(max_size=30), st.binary(max_size=20).map(lambda raw: raw.hex())))
def test_what_is_no_id_leads_nowhere(text: str) -> None:
    with pytest.raises(Unknown):
        read("p", text, {"s": "e"})


def test_a_text_that_is_cut_short_leads_nowhere() -> None:
    text = Cursor("p", [Place("s", "e", 1 << 40)]).text()
    for length in range(len(text)):
        if length != 3:  # two bytes: a place in no log at all
            with pytest.raises(Unknown):
                read("p", text[:length], {"s": "e"})


def test_one_that_is_owed_does_not_take_the_reader_back() -> None:
    cursor = Cursor("p", [Place("s", "e", 9)])
    cursor.owe([Place("s", "e", 4), Place("s", "e", 12), Place("t", "e", 1)])
    assert cursor.owed == {Place("s", "e", 4)}
    cursor.move(Place("s", "e", 4))
    assert (cursor.owed, cursor.seen["s"].seq) == (set(), 9)
    cursor.move(Place("s", "e", 10))
    assert cursor.seen["s"].seq == 10


def test_too_many_logs_do_not_fit() -> None:
    cursor = Cursor("p", [Place(f"s{n}", "e", 1000) for n in range(1000)])
    assert cursor.text() == FULL and len(FULL) <= TEXT_BYTES_MAX
    with pytest.raises(Unknown, match="more hosts"):
        read("p", FULL, {})
    assert len(Cursor("p", [Place(f"s{n}", "e", 1000) for n in range(350)]).text()) <= TEXT_BYTES_MAX


def test_what_stands_for_a_host_differs_from_project_to_project() -> None:
    assert mark("p", "host", "e") != mark("q", "host", "e")
