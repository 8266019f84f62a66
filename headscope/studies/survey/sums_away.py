"""What the end of a survey on a store brings here of it: checksums and sums, and no table of a shard."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from headscope.keep.checksums import sealed_files
from headscope.keep.files import remove
from headscope.studies.survey.away import SurveyAway
from headscope.studies.survey.gathered import described_by, gather, place
from headscope.studies.survey.kept_sums import SUMS, is_current
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.store import Store

_AT_ONCE = 8  # shards that are asked for


class SumsHere(Store):
    """Shards of which only a part was brought here: the sizes of all files were looked at where they lie."""

    def _files(self, index: int) -> list[str]:
        return [name for name in super()._files(index) if (self.shard(index) / name).exists()]


def bring_sums(away: SurveyAway) -> None:
    """Bring what statistics are made of here, of the model and of every null.

    What parts have put together is brought as that, and of the other shards the sums: tables where a shard has none.
    What is not what was published is withdrawn, and not here then.
    """
    away.fetch_beside()
    shards = range(len(survey_manifest(away.here)["shards"]))
    for null in (None, *away.nulls()):
        _bring(away, SumsHere(away.here, null), shards)


def publish_gathered(away: SurveyAway, null: str | None, shards: Collection[int]) -> None:
    """Put the sums of a part's shards together, which are brought here for that, and publish what they come to."""
    store = SumsHere(away.here, null)
    _bring(away, store, shards)
    made = gather(store, sorted(shards))
    if made is not None:
        away.there.publish(made.relative_to(away.here).as_posix(), made)
    for folder in (store.folder, place(store)):
        remove(folder)


def _bring(away: SurveyAway, store: SumsHere, shards: Collection[int]) -> None:
    there = away.there
    for below in (store.folder, place(store)):
        there.look(below.relative_to(away.here).as_posix())

    def bring(shard: int, names: Collection[str] | None) -> None:
        one = there.published(store.shard(shard).relative_to(away.here).as_posix())
        if one is not None:
            away.take(one, names)

    def bring_its_sums(shard: int) -> None:
        if SUMS in sealed_files(store.shard(shard)):
            bring(shard, (SUMS,))
        path = store.shard(shard) / SUMS
        if store.shard(shard).is_dir() and not (path.exists() and is_current(path)):
            bring(shard, None)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda shard: bring(shard, ()), shards))
        left = _bring_gathered(away, store, {shard for shard in shards if store.shard(shard).is_dir()})
        list(pool.map(bring_its_sums, sorted(left)))


def _bring_gathered(away: SurveyAway, store: SumsHere, shards: set[int]) -> set[int]:
    """Bring what was put together of these shards, as few as there are, and return the shards that it is not of."""
    found = []
    for name in away.there.folders(place(store).relative_to(away.here).as_posix()):
        one = away.there.published(name)
        if one is not None and away.take(one, ()):
            found.append((described_by(store, away.here / name), one))
            remove(away.here / name)
    left = set(shards)
    for of, one in sorted(found, key=lambda each: (-len(each[0]), each[1].folder)):
        if of and of <= left and away.take(one):
            left -= of
    return left
