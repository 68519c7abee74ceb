"""Files of trials: found again, bound to their key, and divided among jobs."""

from example_runs import run_config

from bench.records import Trial
from bench.trials.files import TrialFile

TRIAL = Trial({"C": 0.5, "cell": "gru"}, 0.25, (0.1, 0.05), "", 1.5)


def test_what_was_written_is_read_and_another_run_has_another_file(tmp_path):
    file = TrialFile(tmp_path, run_config("svm"), "O-F1")
    assert file.read() is None
    file.write(TRIAL)
    assert file.read() == TRIAL
    assert TrialFile(tmp_path, run_config("svm", protocol="top1@1"), "O-F1").read() is None
    copied = TrialFile(tmp_path, run_config("svm", protocol="top3@1"), "O-F1")
    copied.path.write_bytes(file.path.read_bytes())
    assert copied.read() is None


def test_a_job_does_not_wait_for_a_trial_that_another_is_at_unless_it_must(tmp_path):
    one, other = (TrialFile(tmp_path, run_config("svm"), "O-F1") for _ in range(2))
    with one.held(wait=False) as first, other.held(wait=False) as second:
        assert (first, second) == (True, False)
    with other.held(wait=False) as free:
        assert free
