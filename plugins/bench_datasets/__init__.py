"""First-party datasets."""

