"""Texts for a probe: of files of any kind that a survey reads, or those of a survey."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.counted import CountedCorpus
from headscope.corpus.files import TextFile, find_sources
from headscope.errors import InputError
from headscope.keep.paths import path_of
from headscope.question.given import in_order
from headscope.studies.survey.manifest import options_of, survey_manifest

if TYPE_CHECKING:
    from headscope.scope import Scope

_MANIFEST = "manifest.json"  # of a survey's directory


@dataclass(frozen=True)
class Texts:
    """Texts, the group of each (its document, where documents are marked), and where they come from."""

    contents: tuple[str, ...]
    groups: tuple[int, ...]
    name: str


def find_texts(scope: Scope, paths: Iterable[str | Path], options: CorpusOptions | None = None) -> Texts:
    """The texts of files and directories as a survey would read them, or of one survey's directory.

    Options None: all texts, too long ones cut. Of a survey's directory the texts are those that it measured. Raises
    InputError for paths that are not there, and for a survey whose texts are no longer what they were.
    """
    chosen, paths = options or CorpusOptions(truncate=True), in_order(paths, "paths")
    surveys = surveys_in(paths)
    expected = None
    if surveys:
        if len(paths) > 1:
            raise InputError(f"{surveys[0]} is a survey's directory: name it alone, or the files of its texts.")
        sources, chosen, expected = _of_survey(surveys[0])
    else:
        sources = find_sources(paths, chosen.format)
    counted = CountedCorpus.of(scope, sources, chosen)
    if expected is not None and counted.census.sha256 != expected:
        raise InputError(
            f"the texts of {surveys[0]} are not those that it measured: they have changed, or this model cuts them "
            "otherwise. Name the files of texts."
        )
    shards = [shard for _, shard in counted.read(set(range(len(counted))))]
    contents = tuple(text.content for shard in shards for text in shard.texts)
    return Texts(contents, tuple(counted.census.groups.tolist()), ", ".join(Path(path).name for path in paths))


def surveys_in(paths: Sequence[str | Path]) -> list[Path]:
    """Which of the paths are surveys' directories."""
    named = (path_of(path, "a path of texts") for path in paths)
    return [path for path in named if (path / _MANIFEST).is_file()]


def _of_survey(directory: Path) -> tuple[list[TextFile], CorpusOptions, str]:
    """The sources of a survey, its options, and the hash of its texts."""
    manifest = survey_manifest(directory)
    options = options_of(manifest)
    sources = []
    for name in manifest["texts"]["sources"]:
        path = directory / "stdin" if name == "standard input" else Path(name)
        if not path.is_file():
            raise InputError(f"{directory} is a survey of {name}, which is not there (from here): name files of texts.")
        if name == "standard input":
            sources.append(TextFile(path, "text" if options.format == "auto" else options.format, name))
        else:
            sources += find_sources([path], options.format)
    return sources, options, str(manifest["texts"]["sha256"])
