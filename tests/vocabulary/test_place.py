"""Places for backups, as operators name them."""

import pytest

from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.place import IMAGES, Place, place_of


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("folder:/srv/backup", Place(kind="folder", path="/srv/backup")),
        ("s3://Bucket/a/b", Place(kind="s3", host="Bucket", path="a/b")),
        ("s3://b?endpoint=http://127.0.0.1:9000", Place(kind="s3", host="b", options={"endpoint": "http://127.0.0.1:9000"})),
        ("az://c/p?account=me", Place(kind="az", host="c", path="p", options={"account": "me"})),
        ("postgres://me@db:5433/cloud", Place(kind="postgresql", host="db", port=5433, user="me", path="cloud")),
        ("mariadb://me@db/cloud", Place(kind="mysql", host="db", user="me", path="cloud")),
        ("redis://cache/2?prefix=x", Place(kind="redis", host="cache", path="2", options={"prefix": "x"})),
    ],
)  # fmt: skip
def test_what_is_named(text: str, place: Place) -> None:
    assert place_of(text) == place


SWIFT = "swift://Images/a/b?auth=https://keystone:5000/v3&"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (SWIFT + "user=me&project=images&region=one", {"user": "me", "project": "images", "region": "one"}),
        (
            SWIFT + "application_credential=x&interface=internal",
            {"application_credential": "x", "interface": "internal"},
        ),
    ],
)
def test_swift_is_named_with_its_way_in(text: str, options: dict[str, str]) -> None:
    place = place_of(text, IMAGES)
    auth = {"auth": "https://keystone:5000/v3"}
    assert place == Place(kind="swift", host="Images", path="a/b", options=auth | options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("swift://images/x", "has an auth that isn't a URL"),
        ("swift://images/x?auth=ftp://h", "has an auth that isn't a URL"),
        ("swift://images/x?auth=https://me:hunter2@h&user=me&project=p", "has an auth that isn't a URL"),
        ("swift://images/x?auth=https://[h&user=me&project=p", "has an auth that isn't a URL"),
        ("swift://images/x?auth=https://h", "lacks project, user"),
        ("swift://images/x?auth=https://h/auth/v1.0&application_credential=x", "lacks user"),
        ("swift://images/x?auth=https://h&user=me&project=p&interface=mine", "can be public, internal, admin"),
        ("swift://images/x?auth=https://h&user=me&project=p&password=hunter2", "has the options password"),
        ("swift://me@images/x?auth=https://h&user=me&project=p", "a prefix has"),
        ("swift://images/../x?auth=https://h&user=me&project=p", "a prefix has"),
        ("swift://a%2fb/x?auth=https://h&user=me&project=p", "is the container"),
    ],
)
def test_what_is_wrong_with_swift_is_said_without_a_password(text: str, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        place_of(text, IMAGES)
    assert said in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_folder_on_the_web_has_a_list() -> None:
    found = Place(kind="https", host="images.example", port=8443, path="a/b", options={"list": "/etc/list"})
    assert place_of("https://Images.example:8443/a/b/?list=/etc/list", IMAGES) == found
    for text in ("https://images.example/a", "http://h/?list=list.toml", "https://me@h/?list=/x"):
        with pytest.raises(BadRequest, match="with the whole path of a list"):
            place_of(text, IMAGES)


@pytest.mark.parametrize("text", [SWIFT + "user=me&project=images", "https://h/?list=/x"])
def test_backups_have_other_places(text: str) -> None:
    with pytest.raises(BadRequest, match="it can be folder:"):
        place_of(text)


def test_nothing_is_nowhere() -> None:
    assert place_of("") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("folder:srv", "with the whole path"),
        ("/srv/backup", "can be folder:/PATH"),
        ("ftp://host/x", "can be folder:/PATH"),
        ("s3:bucket", "can be folder:/PATH"),
        ("s3:///prefix", "no bucket"),
        ("s3://b/../other", "a prefix has"),
        ("s3://key:hunter2@b", "file of backup_secret_file"),
        ("s3://b?secret=hunter2", "has the options secret"),
        ("postgresql://me:hunter2@db/cloud", "file of backup_secret_file"),
        ("postgresql://db", "no database"),
        ("mysql://:99999/x", "isn't a URL"),
        ("redis://host/name", "a Redis database has a number"),
        ("redis://host?a", "isn't a URL"),
    ],
)
def test_what_is_wrong_is_said_without_a_password(text: str, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        place_of(text)
    assert said in caught.value.message
    assert "hunter2" not in caught.value.message


def test_what_is_shown_has_no_user_and_no_options() -> None:
    place = place_of("postgresql://me@db:5433/cloud?sslmode=require")
    assert place is not None and place.shown() == "postgresql://db:5433/cloud"
