"""Verdicts on a model that was built to make the claims true, and on the same model without what was built in."""

from __future__ import annotations

import pytest

from headscope.studies.claims.run import ClaimsAsked, settle
from headscope.studies.claims.sentence import SentenceRead
from tests.studies.claims.planted import FLIES, OWN, planted
from tests.studies.survey.corpora import sentences, written

pytestmark = pytest.mark.slow  # what all of it looks at is dear to make


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return written(tmp_path_factory.mktemp("corpus") / "t.txt", sentences(30, seed=3, least=6, most=12))


@pytest.fixture(scope="module")
def built(tmp_path_factory, corpus):
    """The claims on the planted model; content words lie close together."""
    return settle(planted(dense="content"), ClaimsAsked(texts=(corpus,)), tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def removed(tmp_path_factory, corpus):
    """Three heads for "flies", head 3 in head 7's place, heads that copy at layer 1, function words close together."""
    scope = planted(own=3, flies=FLIES[:3], later_copies=True, dense="function")
    return settle(scope, ClaimsAsked(texts=(corpus,)), tmp_path_factory.mktemp("removed"))


def finding(claims, id: str, arithmetic: str = "right", reference: str | None = None):
    found = [one for one in claims.of(id) if one.arithmetic == arithmetic and one.reference in (reference, None)]
    assert len(found) == 1, found
    return found[0]


def test_four_heads_that_bring_flies_to_time_are_counted(built, removed):
    one = finding(built, "S1")
    assert (one.ruling, one.value) == ("holds", 4)
    assert [row["head"] for row in one.figures if "flies" in row["nearest"]] == list(FLIES)
    assert (finding(removed, "S1").ruling, finding(removed, "S1").value) == ("contradicted", 3)


def test_time_is_far_from_itself_in_these_heads(built):
    """It was turned away from "flies"."""
    one = finding(built, "S2")
    assert one.ruling == "holds"
    assert one.value > 200


def test_without_any_such_head_there_is_nothing_to_be_far_from():
    found = {one.claim: one for one in SentenceRead.read(planted(flies=()), "right", "model").findings()}
    assert (found["S1"].ruling, found["S1"].value) == ("contradicted", 0)
    assert found["S2"].ruling == "not applicable"


def test_under_a_causal_mask_time_cannot_see_flies():
    found = {one.claim: one for one in SentenceRead.read(planted(), "right", "causal").findings()}
    assert found["S1"].ruling == "not applicable"
    assert 'sees nothing of "flies"' in found["S1"].found


def test_head_7_preserves_the_own_token_where_it_copies_it(built, removed):
    one = finding(built, "S3")
    assert OWN == 7
    assert one.ruling == "holds"
    assert one.low > 0.5
    assert finding(removed, "S3").ruling == "contradicted"
    assert finding(removed, "S3").high < -0.5


def test_no_later_head_has_own_rank_1_unless_one_copies(built, removed):
    assert finding(built, "S4", reference="input").ruling == "holds"
    assert finding(built, "S4", reference="layer").ruling == "holds"
    assert finding(removed, "S4", reference="layer").ruling == "contradicted"
    assert "L1H0" in finding(removed, "S4", reference="layer").found


def test_in_another_layers_basis_the_copy_is_not_seen(removed):
    assert finding(removed, "S4", reference="input").ruling == "holds"
    assert finding(removed, "S4", "published", "input").ruling == "holds"


def test_heads_that_write_the_token_before_are_no_noise_in_their_own_basis(built):
    assert finding(built, "S5", reference="layer").ruling == "contradicted"
    assert finding(built, "S5", reference="input").ruling != "contradicted"


def test_the_first_layer_is_nearer_to_another_token_where_most_heads_copy_another(built):
    one = finding(built, "S6")
    assert one.ruling == "holds"
    assert one.low > 0.2
    rates = {row["rate"]: row["value"] for row in one.figures}
    assert rates["other − own"] == pytest.approx(rates["other"] - rates["own"])
    assert one.value == pytest.approx(rates["other − own"] - rates["other − own, by chance"])


def test_positions_that_no_value_tells_of_change_little(built):
    one = finding(built, "S7")
    assert one.ruling == "contradicted"
    assert one.value > 0.7


def test_later_outputs_are_linked_to_their_own_tokens_where_a_head_copies_them(built, removed):
    # Heads that write the token before tell less of the own one than even attention does: that is no link.
    assert finding(built, "S8", reference="layer").ruling == "undetermined"
    assert finding(built, "S8", reference="layer").high < 0
    assert finding(removed, "S8", reference="layer").ruling == "contradicted"


def test_information_is_where_it_was_brought_and_not_elsewhere(built):
    """Layer 1 writes the token before, so token i is in z at i + 1; the blocks add nothing to the stream."""
    one = finding(built, "S9")
    assert one.ruling != "holds"
    rows = {(row["place"], row["layer"], row["offset"]): row for row in one.figures}
    assert rows["z", 1, -1]["low"] > 0.3
    assert rows["residual", 2, -1]["high"] < 0.2
    assert rows["residual", 2, 0]["low"] > 0.3


def test_content_words_lie_in_denser_regions_where_they_were_put_there(built, removed):
    assert finding(built, "B8").ruling == "holds"
    assert finding(removed, "B8").ruling == "contradicted"


def test_under_the_published_arithmetic_positions_reach_the_heads_and_a_finding_is_lost(built):
    """The rows of W as stored that meet the position are not 0, as its columns are."""
    assert finding(built, "S1", "published").ruling == "contradicted"
    assert finding(built, "S7", "published").ruling == "holds"


def test_claims_of_other_models_say_why_they_do_not_apply(built):
    assert finding(built, "B1").ruling == finding(built, "B3").ruling == "not applicable"
    assert "12 layers" in finding(built, "B1").found
    assert "2 layers" in finding(built, "B5").found


def test_untagged_texts_leave_parts_of_speech_undetermined(built):
    assert finding(built, "S10", reference="layer").ruling == "undetermined"
    assert "CoNLL-U" in finding(built, "S10", reference="layer").found


def test_every_claim_has_a_finding(built):
    told = built.to_dict()
    ids = [f"S{n}" for n in range(1, 11)] + [f"B{n}" for n in range(1, 10)]
    assert [claim["id"] for claim in told["claims"]] == ids
    assert all(claim["findings"] for claim in told["claims"])
