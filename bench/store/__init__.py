"""Run folders: every file sealed by its checksum, read back, and computed again."""
