"""Imports what runs, exports and reports import: a process that is forked from this one takes what its work takes."""

import gc
import importlib

from bench import plugins

WARM = (
    *("bench.cli.commands.run", "bench.cli.commands.export", "bench.cli.commands.report", "bench.exported.publish"),
    *("bench.exported.preprocess_onnx", "bench.model.features", "bench.model.inspection", "bench.show.report"),
    *("matplotlib.pyplot", "scipy.stats", "jinja2", "networkx", "pydantic.type_adapter", "rich.progress"),
    *("torch", "torch._dynamo", "torch.onnx._internal.exporter._compat", "safetensors.torch"),
    *("onnx.reference", "onnxruntime", "onnxscript.function_libs.torch_lib.ops", "onnxscript.optimizer"),
    *("PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.PpmImagePlugin"),
)
"""Nine tenths of what a run of a few small pictures takes."""

for name in WARM:
    importlib.import_module(name)
plugins.installed()
plugins.loaded.cache_clear()  # a command may ask for more of them
gc.freeze()  # or each process that is forked would copy all that its collector looks at
