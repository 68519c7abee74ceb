"""``bench`` and ``python -m bench``: the command line, loaded without looking for garbage among what stays anyway."""

import gc
import sys

from bench.system import interrupts


def main() -> None:
    """Run the command line and exit."""
    # First of all, as the imports below take longer than many commands.
    interrupts.watch()
    # A tenth of the time of `bench --help`. Collected is again from when a command's own work begins.
    gc.disable()
    try:
        from bench.cli import main as command_line
    except ModuleNotFoundError as error:
        from bench.system.notes import say_all
        from bench.system.packages import missing

        if (line := missing(error)) is None:
            raise
        say_all(f"error: {line}")
        sys.exit(2)
    command_line()


if __name__ == "__main__":
    main()
