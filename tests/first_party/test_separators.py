"""What separates names in one text is taken as it was typed, blanks around it and all."""

import pytest
from typed_tables import opened, write

from bench.errors import DataError, UsageError


@pytest.mark.parametrize("between", [" and ", " - ", " > "])
def test_blanks_around_a_separator_are_a_part_of_it(tmp_path, between):
    """They were taken off what the message said to type: of sand and x-ray, s and x were labels."""
    write(tmp_path, "path,labels", f"{{}},sand{between}x-ray{between}a>b", "{},sand", "{},x-ray", "{},a>b")
    with pytest.raises(DataError, match=f"looks like 3 labels. Try: --set 'dataset.separator={between}'"):
        opened(tmp_path)
    assert opened(tmp_path, f"dataset.separator={between}").labels == ("a>b", "sand", "x-ray")


def test_a_word_that_separates_names_stands_apart(tmp_path):
    write(tmp_path, "path,labels", "{},sand and sea", "{},sand")
    with pytest.raises(UsageError, match=r"found 'and', a word without .* Try: --set 'dataset.separator= and '$"):
        opened(tmp_path, "dataset.separator=and")


def test_two_diseases_in_one_name_are_asked_about(tmp_path):
    """Both counted as a label of their own, and that the underscore might separate names was all that was said."""
    rows = ["{},scab_and_rust", "{},scab", "{},rust", "{},powdery_mildew", "{},powdery_mildew_and_scab"]
    write(tmp_path, "path,labels", *rows)
    with pytest.raises(DataError, match=r"'scab_and_rust' looks like 2 labels. Try: --set 'dataset.separator=_and_'"):
        opened(tmp_path)
    assert opened(tmp_path, "dataset.separator=_and_").labels == ("powdery_mildew", "rust", "scab")


def test_a_dash_between_the_words_of_names_is_no_label(tmp_path):
    """As catheters' places: blanks were said to separate labels, then the dash to be no label."""
    names = ["CVC - Normal", "CVC - Borderline", "NGT - Normal", "NGT - Borderline", "ETT - Normal"]
    write(tmp_path, "path,labels", *(f"{{}},{name}" for name in names))
    assert opened(tmp_path).labels == tuple(sorted(names))
