"""The command line as tests call it, and a small folder of pictures for it to run on."""

import numpy as np
from PIL import Image

from bench import cli

FAST = ("--set", "epochs=2", "--set", "backbone.init=random")


def bench(*arguments):
    return cli.run_command_line([str(argument) for argument in arguments])


def write_corel(root, images=60, copies=True):
    """A folder in corel5k's layout: pictures in one of three colours, or two, whose names are the labels.

    So each picture of test is a copy of one in train; without ``copies`` none is.
    """
    colours = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    for split, count in (("train", images), ("test", images // 3)):
        lines = []
        for number in range(count):
            names = list(rng.permutation(list(colours))[: 1 + number % 2])
            picture = Image.new("RGB", (16, 16), colours[names[0]])
            if len(names) > 1:
                picture.paste(colours[names[1]], (0, 0, 8, 16))
            if split == "test" and not copies:
                picture.putpixel((0, 0), (1, 1, number))
            picture.save(root / "images" / f"{split}{number}.png")
            lines.append(f"{split}{number}.png\t{','.join(names)}")
        (root / f"{split}.tsv").write_text("\n".join(lines))
    return root
