"""When reviews stop leading anywhere, a person is asked (design §4). Pure."""

from collections.abc import Sequence

from aicd_core.contracts import EarlierRound, Review, ReviewVerdict

PLATFORM = "tests-red"
"""The id of the finding that the platform's own commands make; it may come again in each round."""


def converged(review: Review, earlier: Sequence[EarlierRound]) -> Review:
    """The review; as one that escalates where it finds the same thing again, or more than the round before."""
    if review.verdict is not ReviewVerdict.REJECT or not earlier:
        return review
    open_before = {identity for round_ in earlier for identity in _open(round_.review)}
    again = _open(review) & open_before
    before = _open(earlier[-1].review)
    more = bool(before) and len(_open(review)) > len(before)
    return review.model_copy(update={"verdict": ReviewVerdict.ESCALATE}) if again or more else review


def _open(review: Review) -> set[str]:
    return {finding.id for finding in review.findings if finding.must_fix and finding.id != PLATFORM}
