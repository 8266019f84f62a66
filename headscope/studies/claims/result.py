"""All claims with their verdicts: what `headscope claims` answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from headscope.studies.claims.catalogue import CLAIMS
from headscope.studies.claims.verdict import Finding

if TYPE_CHECKING:
    import pandas

SCHEMA = 1


@dataclass(frozen=True)
class Claims:
    """A finding for every claim, arithmetic and reference, of one model, mask and corpus.

    `model`: name, revision, weights_sha256, architecture, layers, heads, causal, why. `texts`: where they come from,
    how many texts, tokens and groups. `notes`: what a reader must be told.
    """

    model: dict[str, Any]
    texts: dict[str, Any]
    mask: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        from headscope.studies.claims.show import text

        return text(self)

    def of(self, claim: str) -> list[Finding]:
        """The findings of one claim: the right arithmetic first."""
        return [finding for finding in self.findings if finding.claim == claim]

    def to_dict(self) -> dict[str, Any]:
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

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each finding."""
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas() needs pandas: pip install pandas") from None
        return pandas.DataFrame([asdict(one) | {"figures": len(one.figures)} for one in self.findings])


def _finding(one: Finding) -> dict[str, Any]:
    told = asdict(one)
    del told["claim"]
    return told | {"figures": list(one.figures)}
