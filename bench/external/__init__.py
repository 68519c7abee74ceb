"""Predictions of anybody's code, read from files or arrays, checked against a data set, and stored as runs."""
