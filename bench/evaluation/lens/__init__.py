"""One stored run under every disputed definition, side by side: why published numbers cannot be compared."""

from bench.evaluation.lens.counts import count_views
from bench.evaluation.lens.ranking import ranking_views
from bench.evaluation.lens.view import View, to_json
from bench.evaluation.outcome import Outcome

__all__ = ["View", "to_json", "views"]


def views(outcome: Outcome) -> list[View]:
    """Return every disputed definition with its value on ``outcome``; labels and scores are the same throughout.

    Of label sets without scores, those of rankings are left out.
    """
    protocol = outcome.protocol
    ranked = ranking_views(outcome, protocol) if outcome.scores.rank else ()
    return [*count_views(outcome, protocol), *ranked]
