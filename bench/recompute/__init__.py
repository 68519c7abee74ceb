"""Stored runs done again, from weights and data, and compared with what is stored."""
