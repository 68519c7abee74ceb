"""How fast decoding and prediction are, against what a user would pick instead, in one process and one run."""
