"""Label-set policies by their names: which there are, and how many labels they may give."""

import pytest

from bench import LabelSetPolicy, UsageError
from bench.evaluation import policies, protocols


def test_free_length_is_at_most_k_where_the_search_ends_there():
    corel, coco = protocols.get("corel5k-top5@1"), protocols.get("coco-top3@1")
    assert policies.chosen("", None, corel, "sequence").amount == "at most k"
    assert policies.chosen("", None, coco, "sequence").amount == "any number"
    assert policies.chosen("", None, coco, "sequence", {"max_length": 3}).amount == "at most k"


def test_a_policy_of_the_hosts_name_or_of_an_unknown_amount_is_refused():
    with pytest.raises(UsageError, match="policy 'decoded': the host has a policy of that name"):
        LabelSetPolicy("decoded", "", lambda part: {}, lambda scores, state: scores > 0)
    with pytest.raises(UsageError, match="amount 'many', allowed: exactly k, at most k, any number"):
        LabelSetPolicy("mine", "", lambda part: {}, lambda scores, state: scores > 0, amount="many")  # type: ignore[arg-type]
