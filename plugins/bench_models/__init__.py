"""First-party models."""

