"""Every reader of what somebody else may have written: its sound inputs, how they are damaged, and how it is asked."""

from faults.targets import datasets, exported, files, scores, shards, store
from faults.targets.target import FINDINGS, ISOLATED, TARGETS, Target, findings, reader_of

__all__ = ["FINDINGS", "ISOLATED", "TARGETS", "Target", "findings", "reader_of"]

assert all((datasets, exported, files, scores, shards, store)), "they register their readers"
