"""Stored runs for readers: tables, figures, the report, trackers. Pure functions of what is stored."""
