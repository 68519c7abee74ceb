"""``bench`` and ``python -m bench``: the command line, loaded without looking for garbage among what stays anyway."""

import gc

from bench.system import interrupts


def main() -> None:
    """Run the command line and exit."""
    # First of all, as the imports below take longer than many commands.
    interrupts.watch()
    # A tenth of the time of `bench --help`. Collected is again from when a command's own work begins.
    gc.disable()
    from bench.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
