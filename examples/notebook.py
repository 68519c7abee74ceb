# %% [markdown]
# # Label sequences or label scores?
#
# Two methods on scenes of handwritten digits: which labels does each of them miss? Open this file as a notebook in
# VS Code, PyCharm, Spyder or Jupyter (with jupytext), or run it as a script. What it uses: docs/python.md.

# %%
import numpy as np

import bench

# A fifth of the scenes, a hasty backbone and few epochs: seconds. For numbers worth having: OPTIONS = {}.
OPTIONS = {"dataset.train_images": 1000, "backbone.images": 300, "backbone.epochs": 1, "epochs": 2}

# %% Run what is missing; a second time this only reads.
runs = bench.compare(["cnn-rnn", "bce"], "digit-scenes", seeds=1, options=OPTIONS)
runs

# %% The table; the last expression of a cell shows itself in a notebook.
table = runs.table(["C-F1", "O-F1", "mAP", "labels/image"])
print(table)
table

# %% Every number of one run, and how it came about.
sequences, scores, _ = runs  # the last is the label prior, which joins every comparison
print(sequences.measures)
print({stage: round(seconds, 1) for stage, seconds in sequences.timings["seconds"].items()})

# %% Per class: where do the two methods differ most?
difference = np.array(sequences.per_class["recall"]) - np.array(scores.per_class["recall"])
for label in np.argsort(-np.abs(difference))[:5]:
    support = int(sequences.per_class["support"][label])
    print(f"{sequences.labels[label]:<12} {100 * difference[label]:+6.1f} points of recall, {support} images")

# %% A question that no table answers: are more labels in a scene harder?
assert (sequences.truth == scores.truth).all()
for count in range(1, 5):
    rows = sequences.truth.sum(axis=1) == count
    if rows.any():
        whole = [(run.predicted[rows] == run.truth[rows]).all(axis=1).mean() for run in runs]
        print(f"{count} labels, {rows.sum():>3} scenes: all right in {100 * whole[0]:.0f} % and {100 * whole[1]:.0f} %")

# %% Other label sets from the same scores: above a threshold instead of the best three.
logits = scores.scores.values
for threshold in (-0.5, 0.0, 0.5):
    measures = bench.measure(scores.truth, scores.scores, predicted=logits > threshold, protocol="digit-scenes@1")
    print(f"above {threshold:+.1f}: O-P {100 * measures['O-P']:.1f}, O-R {100 * measures['O-R']:.1f}")

# %% The sequences themselves, in the order emitted.
for row in range(3):
    labels = [sequences.labels[label] for label in sequences.label_sets.sequences[row] if label >= 0]
    print(sequences.ids[row], labels, f"{np.exp(sequences.label_sets.log_probabilities[row]):.2f}")
