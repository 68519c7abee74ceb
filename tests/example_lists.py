"""Lists of NUS-WIDE-1000 of any length, without images, for tests and benchmarks."""

import numpy as np

TAGS = 1000


def write_nuswide_1000(root, images):
    """Write image lists, tag names and a matrix in which an image has six tags on average."""
    names = [f"folder{number % 700}\\{number:06}.jpg" for number in range(images)]
    cut = images * 161_789 // 269_648
    for name, lines in (("Train", names[:cut]), ("Test", names[cut:]), ("", names)):
        (root / f"{name}Imagelist.txt").write_text("\n".join(lines))
    (root / "TagList1k.txt").write_text("\n".join(f"tag{number}" for number in range(TAGS)))
    rng = np.random.default_rng(0)
    rows = np.full((1000, TAGS * 2), ord("\t"), dtype=np.uint8)
    rows[:, -1] = ord("\n")
    with (root / "AllTags1k.txt").open("wb") as file:
        for start in range(0, images, 1000):
            rows[:, ::2] = ord("0") + (rng.random((1000, TAGS)) < 0.006)
            file.write(rows[: min(1000, images - start)].tobytes())
