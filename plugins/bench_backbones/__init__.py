"""First-party backbones."""

import bench
from bench_backbones import crops, dense_sift, digits_cnn, timm_models, torchvision_models


@bench.hookimpl
def bench_backbones() -> list[bench.BackboneSpec]:
    """Return the first-party backbones."""
    return [*torchvision_models.SPECS, timm_models.SPEC, digits_cnn.SPEC, crops.SPEC, dense_sift.SPEC]
