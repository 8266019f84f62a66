"""A survey whose directory is on an object store: what it publishes there, and the folder here that a run works in.

All of a survey is made in a directory of this machine, as ever. A run on a store has one for itself, which goes when it
ends: what is small is copied there first, every shard is published once it is whole, and the statistics are made of
sums that are copied back (sums_away.py). So runs anywhere share a survey, and none waits for another.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from headscope.corpus.standard_input import KEPT
from headscope.errors import InputError
from headscope.keep.checksums import CHECKSUMS, content_fault, sealed_files
from headscope.keep.files import remove, told
from headscope.keep.paths import path_of
from headscope.keep.published import Publication, PublishedDirectory
from headscope.keep.remote import RemoteFile, RemotePath, is_remote
from headscope.keep.scratch import Scratch
from headscope.question.given import in_order
from headscope.studies.survey.finished import tables_of
from headscope.studies.survey.made import Made, record_fault, refuse_mixtures
from headscope.studies.survey.manifest import MANIFEST, read_manifest, refuse_differences, survey_manifest
from headscope.studies.survey.store import BANK, MATCHED_BANK, VOCABULARY, Sink, Store

CENSUS = "census.npz"
_CENSUS_SUM = f"{CENSUS}.sha256"
_SHARDS, _NULLS = "shards", "nulls"
BESIDE = (VOCABULARY, BANK, MATCHED_BANK)  # what every run makes alike


class SurveyAway:
    """A survey at an address, and the folder `here` of the run that has it open, which goes with this."""

    def __init__(self, there: PublishedDirectory) -> None:
        self.there = there
        self._scratch = Scratch("headscope-survey-")
        self.here = self._scratch.folder / there.root.name  # by which a report calls it
        self.here.mkdir()
        self._claimed: tuple[int, int | str | None] | None = None

    @classmethod
    def opened(cls, address: str | Path) -> SurveyAway:
        """With all that is small of it here. InputError where it cannot be read, or holds other files."""
        there = PublishedDirectory(RemotePath.of(address), CHECKSUMS)
        if there.root.url.startswith("hf://"):
            raise InputError(f"{there.root} is read only: name a directory here, or on another store.")
        away = cls(there)
        if not there.fetch(MANIFEST, away.here / MANIFEST):
            others = [file.url for file in there.root.files() if file.url != str(there.at(KEPT))]
            if others:
                raise InputError(f"{there.root} holds other files ({', '.join(others[:3])}): name an empty directory.")
        away._note_claim()
        for name in (KEPT, CENSUS, _CENSUS_SUM):
            there.fetch(name, away.here / name)
        return away

    @contextmanager
    def named(self) -> Iterator[None]:
        """Whatever is told of the folder here, is told of the address."""
        try:
            yield
        except InputError as error:
            raise InputError(str(error).replace(str(self.here), str(self.there.root))) from error

    def claim(self) -> None:
        """Publish the manifest that was made here, and what goes with it; where there is one by now, it stands.

        Raises InputError where that one is another survey's.
        """
        ours = (self.here / MANIFEST).read_bytes()
        self.there.put_first(MANIFEST, self.here / MANIFEST)
        theirs = self.there.at(MANIFEST).read()
        if theirs is not None and theirs != ours:
            made = read_manifest(self.here) or {}
            (self.here / MANIFEST).write_bytes(theirs)
            refuse_differences(self.here, read_manifest(self.here) or {}, made)
        self._note_claim()
        for name in (KEPT, CENSUS, _CENSUS_SUM):  # the census is whole once its sum is there
            self._put_first(name)

    def refuse_other_claim(self) -> None:
        """Raise InputError where another run has claimed the directory in the same moment, with other words."""
        found = self.there.at(MANIFEST).file()
        if found is None or (found.size, found.stamp) != self._claimed:
            raise InputError(
                f"{self.there.root} was claimed by another run while this one began: run the same command again, and "
                "it goes on with what is there."
            )

    def refuse_other_numbers(self, by: Made) -> None:
        """Raise InputError where the first shard of the model, or of a null, was measured otherwise than `by` would."""
        made: dict[str, Made | None] = {}
        for folder in [f"{_SHARDS}/{0:05d}", *self._first_of_nulls()]:
            one = self.there.published(folder)
            record = None if one is None else seal_of(one.files[CHECKSUMS]).get("made")
            if record is not None and record_fault(record) is None:
                made[folder] = Made.of_record(record)
        refuse_mixtures(self.here, made | {"those of this run": by})

    def store(self, null: str | None, by: Made | None) -> AwayStore:
        """The shards of the model, or of a null."""
        return AwayStore(self, null, by)

    def publish_tables(self) -> None:
        """What every run makes alike beside the shards: the first to publish it stands."""
        for name in BESIDE:
            self._put_first(name)

    def publish_statistics(self) -> None:
        """The tables of a finished survey; their checksums go first and come last."""
        self.there.at(CHECKSUMS).remove()
        for name in (*tables_of(survey_manifest(self.here)), CHECKSUMS):
            self.there.at(name).write(self.here / name)

    def fetch_statistics(self) -> None:
        """Bring the tables of a finished survey here."""
        for name in (*tables_of(survey_manifest(self.here)), CHECKSUMS):
            self.there.fetch(name, self.here / name)

    def fetch_beside(self) -> None:
        """Bring here what lies beside the shards; InputError where there is no survey."""
        survey_manifest(self.here)
        for name in BESIDE:
            if not (self.here / name).exists():
                self.there.fetch(name, self.here / name)

    def fetch_shards(self) -> None:
        """Bring every shard here, and what belongs to them; one that is not what was published is withdrawn."""
        self.fetch_beside()
        for folder in (*self.there.folders(_SHARDS), *self.there.folders(_NULLS)):
            one = self.there.published(folder)
            if one is not None and folder.split("/")[-2] == _SHARDS:
                self.take(one)

    def nulls(self) -> list[str]:
        """The names of the nulls of which there is anything."""
        return sorted({folder.split("/")[1] for folder in self.there.folders(_NULLS)})

    def take(self, one: Publication, names: Collection[str] | None = None) -> bool:
        """Bring a published folder, or those of its files, here; one that is not what was published is withdrawn."""
        place = self.here / one.folder
        self.there.take(one, place, None if names is None else (*names, CHECKSUMS))
        fault = sizes_fault(one, seal_of(place / CHECKSUMS))
        if fault is None:
            fault = content_fault(place, list(sealed_files(place)) if names is None else list(names))
        if fault is not None:
            self.there.withdraw(one)
            remove(place)
        return fault is None

    def _put_first(self, name: str) -> None:
        if (self.here / name).exists():
            self.there.put_first(name, self.here / name)

    def _note_claim(self) -> None:
        found = self.there.at(MANIFEST).file()
        self._claimed = None if found is None else (found.size, found.stamp)

    def _first_of_nulls(self) -> list[str]:
        return [name for name in self.there.folders(_NULLS) if name.endswith(f"/{0:05d}")]


class AwayStore(Store):
    """Shards that are there once they are published; what is made here is published as soon as it is whole."""

    def __init__(self, away: SurveyAway, null: str | None, by: Made | None) -> None:
        super().__init__(away.here, null, by)
        self._away = away
        self._looked_at: dict[str, str | None] = {}

    def has(self, index: int) -> bool:
        """Whether a shard is published, as one of this survey, with all that it was published with."""
        one = self._away.there.published(self._published_as(index))
        if one is None:
            return False
        marker = one.files[CHECKSUMS].url
        if marker not in self._looked_at:
            self._looked_at[marker] = seal_fault(one, seal_of(one.files[CHECKSUMS]), self.about(index))
        return self._looked_at[marker] is None

    @contextmanager
    def making(self, index: int, patience: float) -> Iterator[AbstractContextManager[Sink] | None]:
        """Be one that measures a shard: others may at the same time, and the first to publish it stands."""
        self._away.there.look(self._published_as(index))
        with super().making(index, patience) as writing:
            yield None if writing is None else self._publishing(index, writing)

    @contextmanager
    def _publishing(self, index: int, writing: AbstractContextManager[Sink]) -> Iterator[Sink]:
        there, folder = self._away.there, self._published_as(index)
        with writing as sink:
            yield sink
        self._away.refuse_other_claim()
        one = there.published(folder)
        if one is not None and not self.has(index):  # of another survey, or cut off: who measures it anew takes it away
            there.withdraw(one)
        there.publish(folder, self.shard(index))
        with told(self.directory):
            remove(self.shard(index))

    def _published_as(self, index: int) -> str:
        return self.shard(index).relative_to(self.directory).as_posix()


def seal_of(checksums: RemoteFile | Path) -> dict[str, Any]:
    """What a folder's checksums say, there or here; nothing where they cannot be read."""
    try:
        with checksums.open("rb", buffering=2**16) as file:
            found = json.loads(file.read())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def seal_fault(one: Publication, seal: Mapping[str, Any], about: Mapping[str, Any]) -> str | None:
    """What of a published shard shows, by its checksums and sizes, that it is not what was sealed `about` it."""
    if any(seal.get(name) != value for name, value in about.items()):
        return "it belongs elsewhere"
    return sizes_fault(one, seal)


def sizes_fault(one: Publication, seal: Mapping[str, Any]) -> str | None:
    """The first file of a published folder that has another size than its checksums say; or why that is not known."""
    files = seal.get("files")
    if not isinstance(files, dict) or not all(isinstance(sealed, dict) for sealed in files.values()):
        return f"{CHECKSUMS} cannot be read"
    for name, sealed in files.items():
        if name not in one.files or one.files[name].size != sealed.get("bytes"):
            return f"{name} has another size than was written"
    return None


@contextmanager
def brought(directories: Iterable[str | Path], shards: bool = True) -> Iterator[list[Path]]:
    """Directories of finished surveys as they are here, those at addresses copied until the block ends.

    `shards`: those too, not the tables alone.
    """
    places: list[Path] = []
    opened: list[SurveyAway] = []  # the folders stay as long as these are held
    with ExitStack() as stack:
        for directory in in_order(directories, "directories"):
            if not is_remote(directory):
                places.append(path_of(directory, "a survey's directory"))
                continue
            away = SurveyAway.opened(directory)
            stack.enter_context(away.named())
            away.fetch_statistics()
            if shards:
                away.fetch_shards()
            opened.append(away)
            places.append(away.here)
        yield places
        opened.clear()
