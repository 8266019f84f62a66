"""All claims with their verdicts: what `headscope claims` answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from headscope.inference.verdicts import Ruling
from headscope.reading.answer import Answer, Record, drawings
from headscope.show.sheet import Cell, Row, Sheet
from headscope.studies.claims.catalogue import CLAIMS
from headscope.studies.claims.verdict import Finding

SCHEMA = 1
MARKS: dict[Ruling, str] = {
    "holds": "● holds",
    "contradicted": "○ contradicted",
    "undetermined": "? undetermined",
    "not applicable": "– not applicable",
}
COLUMNS = {  # arithmetic and reference, in the order in which verdicts stand side by side
    ("right", "input"): "right: input",
    ("right", "layer"): "right: layer",
    ("published", "input"): "published",
}


@dataclass(frozen=True, repr=False, eq=False)
class Claims(Answer):
    """A finding for every claim, arithmetic and reference, of one model, mask and corpus.

    `model`: name, revision, weights_sha256, architecture, layers, heads, causal, why. `texts`: where they come from,
    how many texts, tokens and groups. `notes`: what a reader must be told.
    """

    model: dict[str, Any]
    texts: dict[str, Any]
    mask: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    def of(self, claim: str) -> list[Finding]:
        """The findings of one claim: the right arithmetic first."""
        return [finding for finding in self.findings if finding.claim == claim]

    def under(self, claim: str) -> tuple[Finding | None, ...]:
        """A claim's findings in the order of COLUMNS; the same one under both references where none changes it."""
        found = self.of(claim)
        return tuple(
            next((one for one in found if one.arithmetic == arithmetic and one.reference in (reference, None)), None)
            for arithmetic, reference in COLUMNS
        )

    def rows(self) -> list[Record]:
        """One row for each finding; `figures` is how many numbers its ruling was made from."""
        return [asdict(one) | {"figures": len(one.figures)} for one in self.findings]

    def to_dict(self) -> Record:
        """Plain data, ready for JSON: see docs/claims.md."""
        claims = [
            {"id": claim.id, "says": claim.says, "holds_when": claim.holds_when}
            | {"findings": [_finding(one) for one in self.of(claim.id)]}
            for claim in CLAIMS.values()
        ]
        return {
            "schema": SCHEMA,
            "model": self.model,
            "texts": self.texts,
            "mask": self.mask,
            "notes": list(self.notes),
            "claims": claims,
        }

    def sheets(self) -> tuple[Sheet, ...]:
        """The verdicts, a row a claim; and what was found under each arithmetic and reference."""
        model, texts = self.model, self.texts
        drawn = "documents" if texts["documents"] else "texts"
        verdicts = Sheet(
            "verdicts",
            f"The experiment's claims, asked of {model['name']}",
            ("claim", *COLUMNS.values()),
            tuple(
                Row(Cell(claim.id), (Cell(claim.says), *map(Cell, self._marks(claim.id)))) for claim in CLAIMS.values()
            ),
            lead=(
                f"{model['layers']} layers × {model['heads']} heads, mask {self.mask!r}. {model['why']}",
                f"{texts['texts']:,} texts, {texts['tokens']:,} tokens in {texts['groups']:,} {drawn}: {texts['from']}",
            ),
            legend=(
                "Right: the heads' own outputs, with the vocabulary encoded by layer 0 (input) or by each layer; ″ "
                "where that makes no difference. Published: X·W as stored, without bias.",
            ),
            prose=True,
        )
        found = Sheet(
            "found",
            "What was found",
            ("under", "found"),
            tuple(
                Row(Cell(id if number == 0 else ""), (Cell(_under(one)), Cell(one.found)))
                for id in CLAIMS
                for number, one in enumerate(self.of(id))
            ),
            notes=self.notes,
            prose=True,
        )
        return verdicts, found

    def figures(self) -> Mapping[str, Callable[[], bytes]]:
        """The verdicts as a grid, without the sentences, which no figure has room for."""
        rows = (Row(Cell(id), tuple(Cell(number=mark) for mark in self._marks(id))) for id in CLAIMS)
        verdicts, _ = self.sheets()
        return drawings([replace(verdicts, columns=tuple(COLUMNS.values()), rows=tuple(rows), figure="cells")])

    def _marks(self, claim: str) -> list[str]:
        """The verdicts of a row."""
        found = self.under(claim)
        marks = ["–" if one is None else MARKS[one.ruling] for one in found]
        if found[0] is found[1]:
            marks[1] = "″"
        return marks


def _under(one: Finding) -> str:
    # The published arithmetic knows one reference: naming it would tell nothing.
    return f"{one.arithmetic}, {one.reference}" if one.reference and one.arithmetic == "right" else one.arithmetic


def _finding(one: Finding) -> Record:
    told = asdict(one)
    del told["claim"]
    return told | {"figures": list(one.figures)}
