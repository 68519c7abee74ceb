"""Which shards make up a split."""

import pytest
from bench_datasets.shard_lists import expand_braces, find_shards

from bench import plugins
from bench.contracts import DatasetRequest
from bench.data.open import open_dataset
from bench.errors import DataError
from bench.options import resolve


@pytest.fixture
def root(tmp_path):
    """Two disks with three empty training shards each, numbered on; find_shards reads none."""
    for number in range(6):
        shard = tmp_path / f"disk{number // 3}" / f"train-{number:03}.tar"
        shard.parent.mkdir(exist_ok=True)
        shard.touch()
    return tmp_path


def names(shards):
    return [shard.stem for shard in shards]


def everything(count=6):
    return [f"train-{number:03}" for number in range(count)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.tar", ["a.tar"]),
        ("a-{9..11}.tar", ["a-9.tar", "a-10.tar", "a-11.tar"]),
        ("{a,b{1..2}}.tar", ["a.tar", "b1.tar", "b2.tar"]),
        ("{a}{,x}", ["a", "ax"]),
    ],
)
def test_braces_expand_as_in_a_shell(pattern, expected):
    assert list(expand_braces(pattern)) == expected


def test_a_pattern_may_name_several_disks(root):
    assert names(find_shards(root, "train", "{disk0/train-{000..002},disk1/train-{003..005}}.tar")) == everything()
    absolute = f"{root}/{{disk0/train-{{000..002}},disk1/train-{{003..005}}}}.tar"
    assert names(find_shards(None, "train", absolute)) == everything()


def test_a_text_file_may_list_shards_and_patterns(root):
    lines = ["disk0/train-{000..002}.tar", "", f"{root}/disk1/train-003.tar", "disk1/train-{004..005}.tar"]
    (root / "train.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert names(find_shards(root, "train", "")) == everything()
    (root / "train.txt").rename(root / "mine.txt")
    assert find_shards(root, "train", "") == ()
    assert names(find_shards(root, "train", "mine.txt")) == everything()


def test_shards_are_found_by_the_name_of_the_split(root):
    assert names(find_shards(root / "disk0", "train", "")) == everything(3)
    (root / "disk0" / "trainer-000.tar").touch()
    (root / "disk0" / "train.md").touch()
    assert names(find_shards(root / "disk0", "train", "")) == everything(3)
    (root / "disk0").rename(root / "train")
    assert names(find_shards(root, "train", "")) == [*everything(3), "trainer-000"]
    (root / "train").rename(root / "data")
    assert names(find_shards(root, "train", "")) == everything(3)


@pytest.mark.parametrize(
    ("shards", "missing"),
    [
        (["train-000.tar", "train-002.tar"], "train-001.tar"),
        (["train-1.tar", "train-2.tar", "train-4.tar"], "train-3.tar"),
        (["train-003.tar", "train-004.tar"], "train-001.tar"),
        (["train-000-of-003.parquet", "train-001-of-003.parquet"], "train-002-of-003.parquet"),
        (["train-00001.tar"], None),
        (["train-1.tar", "train-2.tar"], None),
        (["train-2017.tar"], None),
        (["train.tar"], None),
    ],
)
def test_a_gap_in_the_numbers_is_noticed(tmp_path, shards, missing):
    for shard in shards:
        (tmp_path / shard).touch()
    if missing is None:
        assert len(find_shards(tmp_path, "train", "")) == len(shards)
    else:
        with pytest.raises(DataError, match=f"shard {missing} is missing. Fetch it, or list the shards"):
            find_shards(tmp_path, "train", "")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("disk0/train-{000..003}.tar", r"shards of train: no file .*disk0/train-003.tar"),
        ("disk0/train-{000..003.tar", r"and its brace is not closed"),
        ("disk0/train-{5..3}.tar", r"found '{5..3}', allowed: ascending"),
        ("{0..999}{0..999}.tar", r"stands for more than 100,000 shards"),
        ("disk0/train-{000,000}.tar", r"shard .*train-000.tar stands twice"),
        ("disk0/train-000.zip", r"shard train-000.zip, allowed: names that end in .tar or .parquet"),
        ("https://there/{0..3}.tar", r"allowed: files. Shards are read by seeking, so copy them first"),
        ("pipe:cat x.tar", r"allowed: files. Shards are read by seeking"),
        ("gone.txt", r"no file .*gone.txt. Expected there: a shard's path"),
    ],
)
def test_a_bad_pattern_is_one_clear_line(root, pattern, message):
    with pytest.raises(DataError, match=message):
        find_shards(root, "train", pattern)


def test_a_bad_list_is_named_with_its_line(root):
    for content, message in (
        ("disk0/train-000.tar\n\ndisk0/gone.tar\n", r"train.txt line 3: no file .*gone.tar"),
        ("disk0/train-000.tar\ndisk0/train-{000..001}.tar\n", r"train.txt: shard .*train-000.tar stands twice"),
        ("\n", r"train.txt: no shards"),
    ):
        (root / "train.txt").write_text(content)
        with pytest.raises(DataError, match=message):
            find_shards(root, "train", "")


def test_without_a_root_a_pattern_must_be_absolute():
    with pytest.raises(DataError, match=r"'train.tar' is relative, and there is no data root. Try: --data-root DIR"):
        find_shards(None, "train", "train.tar")


def test_a_data_set_without_shards_says_what_to_type(tmp_path):
    spec = plugins.installed().dataset("shards").spec
    options = resolve(spec.options, {}, "shards")
    with pytest.raises(
        DataError, match=r"shards of 'train' in .*: no train-\*.tar, .* Try: --data-root DIR, --train-split"
    ):
        open_dataset(spec, DatasetRequest(options, tmp_path))
    with pytest.raises(DataError, match=r"shards of 'train' in no data root: .* or --set dataset.train=PATTERN"):
        open_dataset(spec, DatasetRequest(options))
    for name in ("train-000.tar", "train-000.parquet"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"shards of 'train' in .*: both .tar and .parquet"):
        open_dataset(spec, DatasetRequest(options, tmp_path))
