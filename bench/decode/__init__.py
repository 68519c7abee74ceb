"""From image terms to label sequences: the search in plain Python, and the compiled kernel that equals it."""
