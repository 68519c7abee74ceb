"""The ``bench`` command; one file per subcommand, heavy imports inside the command."""


def main() -> None:
    """Run the command line."""
