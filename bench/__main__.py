"""``bench`` and ``python -m bench``: the command line, loaded without looking for garbage among what stays anyway."""

import gc


def main() -> None:
    """Run the command line and exit."""
    # A tenth of the time of `bench --help`. Collected is again from when a command's own work begins.
    gc.disable()
    from bench.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
