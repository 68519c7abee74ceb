"""Opens first-party data sets, as commands do, and writes the pictures that they list."""

from PIL import Image

from bench import plugins
from bench.contracts import DatasetRequest
from bench.data.open import open_dataset
from bench.options import resolve


def opened(name, root=None, train=None, test=None, cache=None, **options):
    """Open the data set ``name`` with ``options``, whose values are texts as after ``--set`` or become them."""
    spec = plugins.installed().dataset(name).spec
    given = {option: str(value) for option, value in options.items()}
    return open_dataset(spec, DatasetRequest(resolve(spec.options, given, name), root, train, test, cache))


def picture(path, shade=0):
    """Write a picture of one colour, whose red is ``shade``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (10, 10), (shade, 0, 0)).save(path)
