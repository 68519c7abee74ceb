"""First-party backbones."""

