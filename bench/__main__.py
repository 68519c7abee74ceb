"""``python -m bench``: the command line, where no ``bench`` is on the path."""

from bench.cli import main

if __name__ == "__main__":
    main()
