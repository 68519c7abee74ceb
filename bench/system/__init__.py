"""What the machine gives every room: files written whole, progress, threads, clocks, the record behind a number."""
