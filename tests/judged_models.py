"""A model for trials that raises, or diverges, where its option says so."""

from torch import nn

from bench import Dimension, ModelSpec, Option


class Judged(nn.Module):
    """Scores every label by a random plane times option ``slope``; it raises, or diverges, where that says so."""

    score_kind = "margin"

    def __init__(self, request):
        super().__init__()
        self.plane = nn.Linear(request.dimensions, len(request.labels))
        self.slope = request.options["slope"]
        if self.slope == 3:
            raise ValueError("three is too many")

    def fit(self, features, truth):
        pass

    def forward(self, features):
        return self.slope * self.plane(features) * (float("nan") if self.slope == 2 else 1)

    def loss(self, features, truth, generator):
        return features.new_zeros(())


def judged(name, choices, first=1):
    options = (Option("slope", first, "a factor", choices=(1, 2, 3, -1)),)
    space = (Dimension("slope", choices),) if choices else ()
    return ModelSpec(name, "a random plane", "scores", Judged, options, training=None, space=space)


SPECS = (judged("partly", (1, 2, 3, -1)), judged("never", (2, 3), first=2), judged("plain", ()))
