"""Who measures how: file and line of each public source in which a definition was read.

A place is ``repository@commit file:lines``, or a release of an installed package. Nothing here was taken from a paper's
words or from memory, except what says so.
"""

from __future__ import annotations

from dataclasses import dataclass

PAPER = "Wang et al. 2016, the printed tables"
"""Not code: the definition that its printed rows imply, see docs/metrics.md."""

_ASL = "Alibaba-MIIL/ASL@8c9e0bd"
_ML_GCN = "megvii-research/ML-GCN@5517d6f util.py"
_MMPRETRAIN = "open-mmlab/mmpretrain@ee7f2e88 mmpretrain/evaluation/metrics"
_SRN = "zhufengx/SRN_multilabel@64acf8e"
_DEVKIT_2007 = "npinto/VOCdevkit@2b8c01c (VOC2007) VOCcode/VOCevalcls.m"
_DEVKIT_2010 = "npinto/VOCdevkit@0ac38d1 (VOC2010) VOCcode"
_SKLEARN = "scikit-learn 1.9.1 sklearn/metrics"
_TORCHMETRICS = "torchmetrics 1.9.0 torchmetrics"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who measures so: a name for tables, and where it was read."""

    name: str
    place: str

    def __str__(self) -> str:
        return self.name


HARMONIC_OF_MEANS = (User("ML-GCN", f"{_ML_GCN}:286-288"),)
MEAN_OF_F1 = (
    User("SRN", f"{_SRN} tools/precision_recall_f1.m:11, evaluate.m:22"),
    User("ASL", f"{_ASL} validate.py:127-132"),
    User("mmpretrain", f"{_MMPRETRAIN}/single_label.py:51-56"),
    User("image-to-set", "facebookresearch/image-to-set@23080b0 src/utils/metrics.py:174-175"),
    User("scikit-learn macro", f"{_SKLEARN}/_classification.py:2194-2215"),
    User("torchmetrics macro", f"{_TORCHMETRICS}/functional/classification/f_beta.py:57-58"),
)
TOP_K_ABOVE = (User("ML-GCN's top-3 rows", f"{_ML_GCN}:258-268"),)
ABOVE_HALF = (
    User("ML-GCN overall (logit 0)", f"{_ML_GCN}:250-256, 279"),
    User("SRN", f"{_SRN} evaluate.m:5, 19"),
    User("mmpretrain", f"{_MMPRETRAIN}/multi_label.py:357-361"),
)
ABOVE_EIGHT_TENTHS = (User("ASL", f"{_ASL} validate.py:26, 96"),)
UNPREDICTED_AS_ONE = (User("ML-GCN", f"{_ML_GCN}:281-282"),)
EMPTY_IS_ZERO = (
    User("ML-GCN", f"{_ML_GCN}:281-286"),
    User("ASL", f"{_ASL} validate.py:121-130"),
    User("mmpretrain", f"{_MMPRETRAIN}/single_label.py:49-54"),
)
EMPTY_IS_ONE = (User("SRN", f"{_SRN} tools/precision_recall_f1.m:6-9"),)
DIFFICULT_LEFT_OUT = (
    User("VOC devkit", f"{_DEVKIT_2007}:34-35"),
    User("ML-GCN", f"{_ML_GCN}:240"),
    User("mmpretrain", f"{_MMPRETRAIN}/multi_label.py:402"),
)
DIFFICULT_NEGATIVE_IN_COUNTS = (User("ML-GCN", f"{_ML_GCN}:255, 260, 277"),)
ELEVEN_POINTS = (User("VOC 2007 devkit", f"{_DEVKIT_2007}:44-50"),)
ALL_POINTS = (
    User("VOC 2010-2012 devkit", f"{_DEVKIT_2010}/VOCap.m:1-9"),
    User("SRN", f"{_SRN} tools/AP_VOC.m:21-28"),
)
NON_INTERPOLATED = (
    User("scikit-learn", f"{_SKLEARN}/_ranking.py:128"),
    User("ML-GCN", f"{_ML_GCN}:229-248"),
    User("ASL", f"{_ASL} src/helper_functions/helper_functions.py:29-46"),
    User("mmpretrain", f"{_MMPRETRAIN}/multi_label.py:407-423"),
)
WITHOUT_POSITIVES_DROPPED = (
    User("torchmetrics", f"{_TORCHMETRICS}/functional/classification/average_precision.py:58-65"),
)
WITHOUT_POSITIVES_ZERO = (
    User("scikit-learn", f"{_SKLEARN}/_ranking.py:1189-1198"),
    User("ASL", f"{_ASL} src/helper_functions/helper_functions.py:44, 65"),
    User("mmpretrain", f"{_MMPRETRAIN}/multi_label.py:423, 597"),
)
TIES_GROUPED = (
    User("scikit-learn", f"{_SKLEARN}/_ranking.py:917-918"),
    User("torchmetrics", f"{_TORCHMETRICS}/functional/classification/precision_recall_curve.py:70-71"),
)
TIES_AS_SORTED = (
    User("VOC devkit", f"{_DEVKIT_2007}:33"),
    User("ML-GCN", f"{_ML_GCN}:232"),
    User("ASL", f"{_ASL} src/helper_functions/helper_functions.py:33"),
    User("SRN", f"{_SRN} tools/AP_VOC.m:9"),
    User("mmpretrain", f"{_MMPRETRAIN}/multi_label.py:407"),
)
