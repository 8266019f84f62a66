"""Small corpora and surveys of them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import zoo
from scipy import stats

from headscope import Scope
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey

WORDS = " ".join(zoo.CORPUS).replace(".", "").replace(",", "").split()


def sentences(count: int, seed: int = 0, least: int = 3, most: int = 9) -> list[str]:
    """Random sentences of the words that the tiny tokenizers know."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(least, most))) + "." for _ in range(count)]


def written(path: Path, texts: list[str], every: int | None = None) -> Path:
    """A file of texts, one a line; a blank line, and so a new document, after `every` so many."""
    lines = []
    for n, text in enumerate(texts):
        lines += [""] * (every is not None and n % every == 0 and n > 0) + [text]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def surveyed(scope: Scope, path: Path, directory: Path, nulls: tuple[str, ...] = (), **options: Any) -> Path:
    """The directory of a finished survey."""
    Survey.prepare(scope, [path], directory, SurveyOptions(**options)).run(nulls)
    return directory


def table(directory: Path, name: str) -> Any:
    """A table of all shards as pandas, in order."""
    return pq.read_table(sorted(directory.glob(f"shards/*/{name}.parquet"))).to_pandas()


def statistics(directory: Path) -> Any:
    """statistics.parquet as pandas."""
    return pq.read_table(directory / "statistics.parquet").to_pandas()


def by_the_jackknife(value: float, without: list[float]) -> tuple[float, float, float]:
    """Interval and p of a figure that is `without` each of its groups."""
    n, apart = len(without), np.array(without) - value
    error = np.sqrt((n - 1) / n * np.square(apart).sum())
    hang = np.clip(3 * (apart**2).sum() ** 2 / (apart**4).sum() - 2, 1, n - 1)  # how many groups the variance hangs on
    freedom = np.sqrt((n - 1) * hang)
    reach = stats.t.ppf(0.975, freedom) * error
    return value - reach, value + reach, 2 * stats.t.sf(abs(value) / error, freedom)
