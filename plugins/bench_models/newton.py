"""Regularised planes of many labels solved together: Newton's method, each step by conjugate gradients.

For label l over images i: minimise sum_i m_il loss(w_l x_i + b_l, truth_il) + |w_l|^2 / (2 C), with m_il = 0 where a
pair is ignored: the objective of scikit-learn's ``LogisticRegression`` or ``LinearSVC``, its optimum within rounding.
Labels share the products with the images and nothing else, so that one solve serves hundreds of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench_models.plane_losses import PlaneLoss

NEWTON_STEPS, GRADIENT_STEPS, HALVINGS = 30, 60, 12


@dataclass(frozen=True, slots=True)
class Problem:
    """(n, d) float ``images``, (n, labels) float ``truth`` and ``counted`` in {0, 1}.

    ``allowed`` (labels, d) in {0, 1}: columns that a label's weights may use; ``None``: all.
    """

    loss: PlaneLoss
    images: torch.Tensor
    truth: torch.Tensor
    counted: torch.Tensor
    allowed: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        loss: PlaneLoss,
        images: torch.Tensor,
        truth: torch.Tensor,
        ignore: torch.Tensor | None,
        allowed: torch.Tensor | None = None,
    ) -> Problem:
        """Return the problem with bool ``truth`` and pairs to ``ignore``. A column of ones for the bias is added."""
        ones = images.new_ones(len(images), 1)
        if allowed is not None:
            allowed = torch.cat([allowed, allowed.new_ones(len(allowed), 1)], dim=1)
        counted = torch.ones_like(truth) if ignore is None else ~ignore
        return cls(loss, torch.cat([images, ones], dim=1), (truth & counted).float(), counted.float(), allowed)

    def start(self) -> torch.Tensor:
        """Return (labels, d + 1) weights of zero, with the loss's first bias."""
        weights = self.images.new_zeros(self.truth.shape[1], self.images.shape[1])
        weights[:, -1] = self.loss.start(self.truth.sum(dim=0), self.counted.sum(dim=0))
        return weights

    def solve(self, cost: float, weights: torch.Tensor, enough: float | None = None) -> torch.Tensor:
        """Return the optimal (labels, d + 1) weights, bias last, for C = ``cost``, found from ``weights``.

        A label is solved when its gradient is ``enough`` of the one at ``start``; the loss knows what is enough where
        it is not given. A label that all or none of its images have keeps the constant score of ``start``.
        """
        positive = self.truth.sum(dim=0)
        free = ((positive > 0) & (positive < self.counted.sum(dim=0))).float().unsqueeze(1)
        free = free.expand_as(weights) if self.allowed is None else free * self.allowed
        penalty = weights.new_full((weights.shape[1],), 1.0 / cost)
        if not self.loss.penalised_bias:
            penalty[-1] = 0.0
        wanted = (enough or self.loss.enough) * _gradient(self, self.start(), penalty, free)[0].norm(dim=1)
        weights, left = weights.clone(), torch.arange(len(weights), device=weights.device)
        for _ in range(NEWTON_STEPS):
            # Labels that are solved are left alone, so that the hard ones have the time.
            part = self if len(left) == len(weights) else self._of_labels(left)
            gradient, scores = _gradient(part, weights[left], penalty, free[left])
            open_ = gradient.norm(dim=1) > wanted[left]
            if not bool(open_.any()):
                break
            left, gradient, scores = left[open_], gradient[open_], scores[:, open_]
            part = self._of_labels(left)
            curvature = self.loss.curvature(scores, part.truth) * part.counted
            step = part._newton_step(gradient, curvature, penalty, free[left])
            weights[left] = part._descend(weights[left], step, scores, gradient, penalty)
        return weights

    def _of_labels(self, labels: torch.Tensor) -> Problem:
        return Problem(self.loss, self.images, self.truth[:, labels], self.counted[:, labels])

    def _newton_step(
        self, gradient: torch.Tensor, curvature: torch.Tensor, penalty: torch.Tensor, free: torch.Tensor
    ) -> torch.Tensor:
        """Return the step by conjugate gradients of each label, all at once, until each residual is a tenth."""
        step, residual = torch.zeros_like(gradient), -gradient
        direction = residual.clone()
        norm = first = residual.square().sum(dim=1, keepdim=True)
        for _ in range(GRADIENT_STEPS):
            bent = free * ((curvature * (self.images @ direction.T)).T @ self.images + penalty * direction)
            along = norm / (direction * bent).sum(dim=1, keepdim=True).clamp(min=1e-30)
            along = torch.where(norm > 1e-2 * first, along, torch.zeros_like(along))
            step, residual = step + along * direction, residual - along * bent
            following = residual.square().sum(dim=1, keepdim=True)
            if bool((following <= 1e-2 * first).all()):
                break
            direction = residual + (following / norm.clamp(min=1e-30)) * direction
            norm = following
        return step

    def _descend(
        self,
        weights: torch.Tensor,
        step: torch.Tensor,
        scores: torch.Tensor,
        gradient: torch.Tensor,
        penalty: torch.Tensor,
    ) -> torch.Tensor:
        """Return the weights after ``step``, halved for each label until its objective falls."""
        change = self.images @ step.T
        slope = (gradient * step).sum(dim=1)
        scale = torch.ones_like(slope)
        now = self._objective(scores, weights, penalty)
        for _ in range(HALVINGS):
            after = self._objective(scores + scale * change, weights + scale[:, None] * step, penalty)
            # In single precision an objective near its optimum may rise by rounding.
            worse = after > now + 1e-4 * scale * slope + 1e-6 * now.abs()
            if not bool(worse.any()):
                break
            scale = torch.where(worse, scale / 2, scale)
        return weights + scale[:, None] * step

    def _objective(self, scores: torch.Tensor, weights: torch.Tensor, penalty: torch.Tensor) -> torch.Tensor:
        """Return each label's objective, (labels,)."""
        lost = self.loss.value(scores, self.truth) * self.counted
        return lost.sum(dim=0) + (penalty * weights.square()).sum(dim=1) / 2


def _gradient(
    problem: Problem, weights: torch.Tensor, penalty: torch.Tensor, free: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each label's gradient, (labels, d + 1), where its weights are ``free``, and the scores (n, labels)."""
    scores = problem.images @ weights.T
    slope = problem.loss.slope(scores, problem.truth) * problem.counted
    return free * (slope.T @ problem.images + penalty * weights), scores
