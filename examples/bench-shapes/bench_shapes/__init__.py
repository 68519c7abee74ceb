"""Shapes: drawn triangles, squares, hexagons and circles, and the protocol that they are measured by."""

import bench

OPTIONS = (
    bench.Option("images", 400, "training pictures", minimum=20),
    bench.Option("noise", 40, "largest value that is added to a pixel", minimum=0, maximum=200),
)


def build(request: bench.DatasetRequest) -> bench.Dataset:
    """Return the data set for `request`; the drawing is imported here and not before."""
    from bench_shapes.pictures import make

    return make(request)


@bench.hookimpl
def bench_datasets() -> list[bench.DatasetSpec]:
    """Return the one data set of this distribution. `expects="..."` would say what lies in --data-root."""
    return [bench.DatasetSpec("shapes", "four shapes, up to three in a picture", build, OPTIONS, backbone="digits-cnn")]


@bench.hookimpl
def bench_protocols() -> list[bench.Protocol]:
    """Return the protocol that the data set names."""
    return [bench.Protocol(name="shapes@1", summary="exactly two labels, sequences up to four", k=2, max_length=4)]
