"""Small splits of random pictures, and a backbone of one layer, for tests."""

import dataclasses

import numpy as np
import torch

from bench import Backbone, Images, Preprocessing, Split
from bench.data.images import ArrayImages
from bench.errors import DataError


def make_split(truth, name="train", seed=0, ignore=None):
    truth = np.asarray(truth, dtype=np.bool_)
    pixels = np.random.default_rng(seed).integers(0, 256, (len(truth), 4, 4, 3), dtype=np.uint8)
    ids = tuple(f"{name}{row}" for row in range(len(truth)))
    labels = tuple("abcdefgh"[: truth.shape[1]])
    return Split("toy", name, ids, labels, truth, ArrayImages(pixels, name), ignore)


def random_truth(images=200, labels=5, seed=0):
    truth = np.random.default_rng(seed).random((images, labels)) < 0.3
    truth[:labels] |= np.eye(labels, dtype=np.bool_)
    return truth


class CountingImages(Images):
    """Pictures that note which were read, and of which one may be broken."""

    def __init__(self, images, broken=None):
        self.images, self.broken, self.read_rows = images, broken, []

    def __len__(self):
        return len(self.images)

    def read(self, index):
        self.read_rows.append(index)
        if index == self.broken:
            raise DataError("cannot read image /data/17.jpg: truncated")
        return self.images.read(index)

    def describe(self, index):
        return str(index)

    def content_hash(self):
        return self.images.content_hash()


def make_backbone(scale=1.0):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 7))
    module[1].weight.data *= scale
    return Backbone("toy", module.eval(), 7, Preprocessing(size=8, resize=8, crop="squash"), f"w{scale}", "toy")


def split_of(images, broken=None):
    split = make_split(random_truth(images))
    return dataclasses.replace(split, images=CountingImages(split.images, broken))
