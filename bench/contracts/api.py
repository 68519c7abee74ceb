"""The version of the interface between host and plugins."""

API_VERSION = 1
"""Raised when a spec, a hook or what is called of a plugin changes so that plugins must change, too."""
