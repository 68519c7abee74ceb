"""``bench trials``: what was tried to choose a run's options, and how each trial did on validation."""

from __future__ import annotations

from bench.cli.choose import one_run
from bench.cli.options import STORE, AsJson, RunName, RunsFolder
from bench.errors import StoreError
from bench.show.console import print_table, put_raw, say

EXAMPLES = """Examples:

  bench trials 9b2fb905

  bench trials runs/digit-scenes/svm/9b2fb9059dedec9a --json"""


def trials(run: RunName, store: RunsFolder = STORE, as_json: AsJson = False) -> None:
    """Print every trial that the run's options were chosen by: its options, its validation score, or why it failed."""
    from bench.show.trials import rows, told
    from bench.store.external import of_config
    from bench.store.sealed import to_json

    folder = one_run(run, store)
    if not folder.lists("trials"):
        if of_config(folder.config) is not None:
            raise StoreError(f"{folder.path}: no trials, its scores came from a file")
        raise StoreError(
            f"{folder.path}: no trials, its options are as asked for. Try: the same bench run with --trials 16"
        )
    ledger = folder.read_trials()
    if as_json:
        put_raw(to_json({"folder": str(folder.path), "key": folder.key, "chosen": ledger.chosen, **ledger.to_json()}))
        return
    header, body = rows(ledger)
    texts = [tuple("-" if cell is None else str(cell) for cell in row) for row in body]
    print_table(header, texts, title=str(folder.path), texts=("",))
    say(f"{told(ledger)}")
    for note in ledger.notes:
        say(f"note: {note}", "dim")
