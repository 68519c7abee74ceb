"""Every metric as its definition reads, in loops over Python numbers: slow, and too plain to be wrong.

Arrays are (images, labels); ``ignore`` marks pairs that count not at all. Undefined values are NaN.
"""

import math
from fractions import Fraction


def mean(values):
    values = [value for value in values if not math.isnan(value)]
    return sum(values) / len(values) if values else math.nan


def counted(truth, chosen, ignore):
    """The pairs (image, label) that are hits, chosen, true."""
    pairs = [(i, c) for i in range(len(truth)) for c in range(len(truth[0])) if not ignore[i][c]]
    chosen_pairs = {pair for pair in pairs if chosen[pair[0]][pair[1]]}
    true_pairs = {pair for pair in pairs if truth[pair[0]][pair[1]]}
    return chosen_pairs & true_pairs, chosen_pairs, true_pairs


def harmonic(precision, recall):
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def grouped(truth, chosen, ignore, axis):
    """Mean precision and recall over classes (axis 1) or images (axis 0), and their harmonic mean."""
    hits, chosen_pairs, true_pairs = counted(truth, chosen, ignore)
    precisions, recalls = [], []
    for index in range(len(truth[0]) if axis else len(truth)):
        h, p, t = (sum(pair[axis] == index for pair in pairs) for pairs in (hits, chosen_pairs, true_pairs))
        if t:
            precisions.append(h / p if p else 0.0)
            recalls.append(h / t)
    if not recalls:
        return math.nan, math.nan, math.nan
    return mean(precisions), mean(recalls), harmonic(mean(precisions), mean(recalls))


def overall(truth, chosen, ignore):
    hits, chosen_pairs, true_pairs = map(len, counted(truth, chosen, ignore))
    if not true_pairs:
        return math.nan, math.nan, math.nan
    precision, recall = (hits / chosen_pairs if chosen_pairs else 0.0), hits / true_pairs
    return precision, recall, harmonic(precision, recall)


def best_labels(scores, ignored, k):
    """One image's k best labels that are not ignored, best first; the lower index first among equals."""
    labels = [label for label in range(len(scores)) if not ignored[label]]
    return sorted(labels, key=lambda label: (-scores[label], label))[:k]


def map_at_k_image(truth, scores, ignore, k):
    values = []
    for true, row, ignored in zip(truth, scores, ignore, strict=True):
        positives = sum(t and not i for t, i in zip(true, ignored, strict=True))
        hits = [bool(true[label]) for label in best_labels(row, ignored, k)]
        gained = sum(sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits) if hit)
        values.append(gained / min(positives, k) if positives else math.nan)
    return mean(values)


def curve(pairs, positives):
    """Recall (an exact fraction) and precision at every threshold; ``pairs`` are (score, true)."""
    points = []
    for threshold in sorted({score for score, _ in pairs}, reverse=True):
        retrieved = [true for score, true in pairs if score >= threshold]
        points.append((Fraction(sum(retrieved), positives), sum(retrieved) / len(retrieved)))
    return points


def average_precision(pairs, positives, kind):
    if not positives:
        return math.nan
    points = curve(pairs, positives)
    best_from = lambda recall: max((p for r, p in points if r >= recall), default=0.0)  # noqa: E731
    if kind == "11_point":
        return sum(best_from(Fraction(tenth, 10)) for tenth in range(11)) / 11
    total, before = 0.0, Fraction(0)
    for recall, precision in points:
        total += float(recall - before) * (best_from(recall) if kind == "all_point" else precision)
        before = recall
    return total


def mean_average_precision(truth, scores, ignore, kind, kept=None):
    """mAP; ``kept`` (images, labels) says which images a class retrieves, all where it is ``None``."""
    values = []
    for c in range(len(truth[0])):
        rows = [i for i in range(len(truth)) if not ignore[i][c]]
        positives = sum(bool(truth[i][c]) for i in rows)
        pairs = [(scores[i][c], bool(truth[i][c])) for i in rows if kept is None or kept[i][c]]
        values.append(average_precision(pairs, positives, kind))
    return mean(values)


def map_at_k_class(truth, scores, ignore, k):
    kept = [
        [label in best_labels(row, ignored, k) for label in range(len(row))]
        for row, ignored in zip(scores, ignore, strict=True)
    ]
    return mean_average_precision(truth, scores, ignore, "non_interpolated", kept)


def every_measure(truth, scores, chosen, ignore, *, ap, k):
    """All values of measures.json by their names, MAP at ``k``."""
    values = dict(zip(("C-P", "C-R", "C-F1"), grouped(truth, chosen, ignore, 1), strict=True))
    values |= zip(("O-P", "O-R", "O-F1"), overall(truth, chosen, ignore), strict=True)
    values |= zip(("I-P", "I-R", "I-F1"), grouped(truth, chosen, ignore, 0), strict=True)
    values["MAP@10_image"] = values["MAP@10"] = map_at_k_image(truth, scores, ignore, k)
    values["MAP@10_class"] = map_at_k_class(truth, scores, ignore, k)
    for kind in ("11_point", "all_point", "non_interpolated"):
        values[f"mAP_{kind}"] = mean_average_precision(truth, scores, ignore, kind)
    values["mAP"] = values[f"mAP_{ap}"]
    values["labels_per_image"] = len(counted(truth, chosen, ignore)[1]) / len(truth)
    return values
