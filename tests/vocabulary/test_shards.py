"""Which shard has what never changes: stores are laid out by it."""

from collections import Counter

from freehold.vocabulary.shards import ONE_SHARD, Shards


def test_a_project_stays_in_its_shard() -> None:
    shards = Shards(4)
    assert [shards.of(project) for project in ("a", "b", "c", "", "5f0c9e1e-9d7f-4b6e-8a51-0c6b0c3f7f11")] == [
        3,
        1,
        3,
        0,
        2,
    ]


def test_projects_are_spread() -> None:
    counts = Counter(Shards(4).of(f"project-{number}") for number in range(4000))
    assert sorted(counts) == [0, 1, 2, 3]
    assert all(900 < count < 1100 for count in counts.values())


def test_one_shard_has_everything() -> None:
    assert {ONE_SHARD.of(f"{number}") for number in range(100)} == {0} == set(ONE_SHARD.all())
