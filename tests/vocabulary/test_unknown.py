"""A version that doesn't know a field leaves it where it is: in a record it changes, and in a message it passes on."""

from typing import Any

from msgspec.structs import replace

from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.guest import GuestSpec, Labels
from freehold.vocabulary.request import Admission, Build
from freehold.vocabulary.tenant import Flavor, Project
from freehold.vocabulary.unknown import as_sent, carrying, is_carried, kept
from freehold.vocabulary.word import Word

SPEC = GuestSpec(flavor=Flavor(id="1", name="small", vcpus=1, ram_mib=64, disk_gib=1), image="i")
DEED = Deed(guest="g", project="p", number=1, host="h", cluster="c", urn="u")
BUILD = Build(
    urn="u", guest="g", project="p", user="who", created=1, expires=2, hostname="a", labels=Labels(name="a"), spec=SPEC
)
ADMISSION = Admission(
    guest="g", project="p", user="who", urn="u", created=1, hostname="a", labels=Labels(name="a"), spec=SPEC, deed=DEED
)


def told(word: Word, within: str = "", **more: Any) -> bytes:
    """A word as a newer version writes it: with more fields, or with more in the word under `within`."""
    fields = decode(encode(word), dict[str, Any])
    (fields[within] if within else fields).update(more)
    return encode(fields)


def read(body: bytes) -> dict[str, Any]:
    return decode(body, dict[str, Any])


def test_what_isnt_known_of_a_record_stays_in_it() -> None:
    older = told(Project(id="p", name="n", enabled=False), colour="green")
    newer = kept(encode(Project(id="p", name="other")), older, Project)
    assert read(newer) == {"id": "p", "name": "other", "colour": "green"}


def test_a_known_field_that_is_left_out_now_doesnt_come_back() -> None:
    older = told(replace(ADMISSION, delete_urn="urn"), colour="green")
    newer = kept(encode(ADMISSION), older, Admission)
    assert read(newer) == read(encode(ADMISSION)) | {"colour": "green"}
    assert decode(newer, Admission) == ADMISSION


def test_what_isnt_known_within_a_word_stays_with_that_word() -> None:
    older = told(ADMISSION, "deed", signed="by somebody")
    moved = replace(ADMISSION, attempts=2)
    assert read(kept(encode(moved), older, Admission))["deed"]["signed"] == "by somebody"
    assert kept(encode(replace(ADMISSION, deed=None)), older, Admission) == encode(replace(ADMISSION, deed=None))


def test_what_cant_be_read_is_replaced() -> None:
    assert kept(encode(ADMISSION), b"\xc1", Admission) == encode(ADMISSION)


def test_nothing_is_changed_where_all_is_known() -> None:
    newer = encode(replace(ADMISSION, attempts=2))
    assert kept(newer, encode(ADMISSION), Admission) is newer


def test_what_isnt_known_of_a_message_is_passed_on_by_each_stage() -> None:
    body = told(BUILD, colour="green")
    for _ in range(3):
        build = carrying(decode(body, Build), body)
        body = as_sent(replace(build, deed=DEED))
    assert read(body) == read(encode(replace(BUILD, deed=DEED))) | {"colour": "green"}


def test_nobody_can_have_a_message_pass_on_what_wasnt_in_it() -> None:
    body = encode(replace(BUILD, rest=b"made up"))
    build = carrying(decode(body, Build), body)
    assert build == BUILD and as_sent(build) == encode(BUILD)


def test_builds_are_passed_on_and_other_words_arent() -> None:
    assert is_carried(Build) and not is_carried(Admission)
