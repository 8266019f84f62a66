"""The claims themselves: what was said, and when it holds. docs/claims.md tells how each verdict is computed."""

from __future__ import annotations

from dataclasses import dataclass

TEXT = "Time flies like an arrow, fruit flies like a banana"
TOKEN, OTHER = "Time", "flies"


@dataclass(frozen=True)
class Claim:
    """A claim: its id, what it says, and when it holds, each in a line. `stream`: it is about the residual stream."""

    id: str
    says: str
    holds_when: str

    @property
    def stream(self) -> bool:
        """Whether no head's output and no value projection enters it."""
        return self.id.startswith("B")


_ALL: dict[str, tuple[str, str]] = {
    "S1": (
        'At layer 0, "Time" is nearest to "flies" in 4 of 12 heads',
        'in exactly 4 heads of 12 the nearest token is a form of "flies"',
    ),
    "S2": (
        "There it is comparatively far from its own encoding",
        "the median own rank in those heads is above 100",
    ),
    "S3": (
        "Head 7 preserves the own token at layer 0",
        "own rank 1 in the sentence, where the token sees others, and own@1 above every other head's in the corpus; "
        "contradicted where another's is above, corrected over all",
    ),
    "S4": (
        "No head does so at layer 1 or later",
        "the own rank is above 1 in every head of the layers from 1 on, where the token sees others",
    ),
    "S5": (
        "The last layer is noise",
        "in-text rate, topic, Own within the text and Token Signal of the last layer are at chance",
    ),
    "S6": (
        "The first layer is often nearer to another token of the text than to its own",
        "rate of another token of the text − own@1 is above what the outputs of other documents have",
    ),
    "S7": (
        "Adding the position embedding changes the encodings significantly",
        "the median Jaccard of the 15 nearest with and without it is below .5",
    ),
    "S8": (
        "Later encodings are not linked to their own tokens",
        "at every later layer Own within the text lies within ±.02 of even attention, and recovery by a linear map "
        "within .02 of its shuffled control, all at once; contradicted where one is above, corrected over all",
    ),
    "S9": (
        "Information is distributed among all encodings",
        "ridge recovery of token i at j is above the shuffled control at every distance, and above untrained twins "
        "at the nearest and the farthest; contradicted where one recovers nothing, corrected over all",
    ),
    "S10": (
        "There is no hierarchy of abstraction",
        "part-of-speech agreement over chance of the nearest tokens that are not in the text does not rise by layer",
    ),
    "B1": (
        'After attention, "Time" ranks 1 at layers 0–2, then 2, 1656, 14, 95, 7014, about 17,000 at the last',
        "the ranks are these, where the token sees others",
    ),
    "B2": (
        "At the last layer content words leap to thousands, function words stay near 0",
        "median rank of content words ≥ 1,000, of function words ≤ 10; contradicted where it is the other way",
    ),
    "B3": (
        "At layer 5 function words jump and return at layer 6; content words do not",
        "the log rank of function words rises at layer 5, more than that of content words, and falls at layer 6",
    ),
    "B4": (
        "The last layer is the reverse",
        "the log rank of content words rises, that of function words does not; contradicted where it is the other way",
    ),
    "B5": (
        "The cosine drifts fast in the first half and walks back a little later, the same for all tokens",
        "in each class the cosine falls in the first half, rises in the second, falls in all, and alike",
    ),
    "B6": (
        "Cosine, rank and overlap of the 100 nearest tell three different stories",
        "their rank correlations over the tokens of a layer, mean over layers, are below .5",
    ),
    "B7": (
        "roberta-large drifts steadily, with no return",
        "the cosine falls at every step",
    ),
    "B8": (
        "Content words lie in denser regions than function words",
        "nearness of the 10 nearest embeddings, content − function, is above 0",
    ),
    "B9": (
        "Function words are largely unaffected by attention",
        "mixing ratio, function − content, is below 0",
    ),
}
CLAIMS = {id: Claim(id, *both) for id, both in _ALL.items()}
