"""What a build needs of its host besides room: a function for each filter, and how a person is told of it. Pure.

Whatever can be said of a host by names is such a filter: one more function, one more `Filter`, and the columns do the
rest.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from freehold.vocabulary.aggregate import SPECS, Aggregate, matches, quality
from freehold.vocabulary.choice import Filter, Need
from freehold.vocabulary.request import Build
from freehold.vocabulary.trait import forbidden, image_qualities, required


@dataclass(frozen=True, slots=True)
class Known:
    """What a scheduler knows beside the build. `for_project`: qualities of which a host needs one to take the guests of
    the build's project; none: no host is kept for anybody.
    """

    aggregates: Iterable[Aggregate] = ()
    for_project: frozenset[str] = frozenset()


def needs(build: Build, known: Known) -> tuple[Need, ...]:
    """All that it needs; nothing for a guest that may be anywhere."""
    found = (filtered(build, known) for filtered, _ in _FILTERS.values())
    return tuple(need for need in found if need is not None)


def missing(build: Build, need: Need) -> str:
    """What hosts are that don't meet a need, as people say it after their number."""
    return _FILTERS[need.filter][1](build)


def _aggregate(build: Build, known: Known) -> Need | None:
    """For each extra spec the host is in an aggregate that says so."""
    specs = _specs(build)
    fit = (frozenset(quality(one.id) for one in known.aggregates if matches(one, *spec)) for spec in specs.items())
    return Need(Filter.AGGREGATE, some=tuple(fit)) if specs else None


def _tenant(_: Build, known: Known) -> Need | None:
    """A host that is kept for some projects takes the guests of no other."""
    return Need(Filter.TENANT, some=(known.for_project,)) if known.for_project else None


def _traits(build: Build, _: Known) -> Need | None:
    every, none = required(build.spec), forbidden(build.spec)
    return Need(Filter.TRAITS, every, none) if every or none else None


def _image(build: Build, _: Known) -> Need | None:
    every = image_qualities(build.spec)
    return Need(Filter.IMAGE, every) if every else None


def _specs(build: Build) -> dict[str, str]:
    specs = build.spec.flavor.extra_specs
    return {key.removeprefix(SPECS): value for key, value in specs.items() if key.startswith(SPECS)}


def _no_aggregate(build: Build) -> str:
    return f"in no host aggregate with {' and '.join(f'{key}={value}' for key, value in sorted(_specs(build).items()))}"


def _no_trait(build: Build) -> str:
    every, none = sorted(required(build.spec)), sorted(forbidden(build.spec))
    parts = [f"without {_listed(every)}"] if every else []
    return " or ".join([*parts, *([f"with {_listed(none)}"] if none else [])])


def _listed(traits: list[str]) -> str:
    return f"trait{'' if len(traits) == 1 else 's'} {', '.join(traits)}"


_FILTERS: Final[dict[Filter, tuple[Callable[[Build, Known], Need | None], Callable[[Build], str]]]] = {
    Filter.AGGREGATE: (_aggregate, _no_aggregate),
    Filter.TENANT: (_tenant, lambda build: "kept for other projects"),
    Filter.TRAITS: (_traits, _no_trait),
    Filter.IMAGE: (_image, lambda build: f"not of {' and '.join(sorted(image_qualities(build.spec)))}"),
}
