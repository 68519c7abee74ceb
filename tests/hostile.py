"""Plugins that leave the process other than they found it: what each does, by a name that says it."""

import decimal
import gc
import io
import locale
import logging
import os
import random
import signal
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFile
import torch

KEPT = []
"""What hostile plugins hold on to, so that nothing undoes itself."""


def leave_open(context):
    KEPT.append(context)
    context.__enter__()


def close(stream):
    stream.close()


def own_folder_that_is_gone():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    Path(folder).rmdir()


HOSTILE = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "gradients off": lambda: torch.set_grad_enabled(False),
    "inference mode never left": lambda: leave_open(torch.inference_mode()),
    "autocast never left": lambda: leave_open(torch.autocast("cpu", dtype=torch.bfloat16)),
    "one thread": lambda: torch.set_num_threads(1 if torch.get_num_threads() > 1 else 2),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "coarse matrix products": lambda: torch.set_float32_matmul_precision("medium"),
    "cudnn benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "no mkldnn": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "small numbers are zero": lambda: torch.set_flush_denormal(True),
    "torch's seed": lambda: torch.manual_seed(7),
    "numpy's seed": lambda: np.random.seed(7),  # noqa: NPY002 - the old generator is what is global
    "python's seed": lambda: random.seed(7),
    "numpy raises": lambda: np.seterr(all="raise"),
    "numpy prints two digits": lambda: np.set_printoptions(precision=2),
    "decimals of two digits": lambda: decimal.getcontext().__setattr__("prec", 2),
    "truncated pictures are read": lambda: setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True),
    "no limit of pixels": lambda: setattr(PIL.Image, "MAX_IMAGE_PIXELS", None),
    "another folder": lambda: os.chdir("/"),
    "a folder that is gone": own_folder_that_is_gone,
    "environment": lambda: os.environ.update(OMP_NUM_THREADS="1", TZ="Asia/Tokyo"),
    "environment emptied": os.environ.clear,
    "umask": lambda: os.umask(0o777),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "module path": lambda: sys.path.insert(0, "/nowhere"),
    "warnings are errors": lambda: warnings.simplefilter("error"),
    "warnings forgotten": warnings.resetwarnings,
    "logs everything": lambda: logging.basicConfig(level=1, force=True),
    "logs nothing": lambda: logging.disable(logging.CRITICAL),
    "signal handlers": lambda: [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)],
    "an alarm": lambda: signal.alarm(3600),
    "excepthook": lambda: setattr(sys, "excepthook", lambda *_: None),
    "standard output replaced": lambda: setattr(sys, "stdout", io.StringIO()),
    "standard output closed": lambda: close(sys.stdout),
    "standard error closed": lambda: close(sys.stderr),
    "standard input gone": lambda: setattr(sys, "stdin", None),
    "recursion limit": lambda: sys.setrecursionlimit(150 + len(__import__("inspect").stack())),
    "no garbage collection": gc.disable,
}
"""Name -> what the plugin does where it is called."""


class SilentError(Exception):
    """Has nothing to say."""

    def __str__(self):
        return ""


class UnprintableError(Exception):
    """Cannot even be printed."""

    def __str__(self):
        raise SystemExit("no words")


def endless():
    return endless()


def raising(error):
    def call():
        raise error

    return call


FAILURES = {
    "exit": (raising(SystemExit(0)), "SystemExit: 0"),
    "interrupt of its own": (raising(KeyboardInterrupt()), "KeyboardInterrupt without a message"),
    "generator exit": (raising(GeneratorExit()), "GeneratorExit without a message"),
    "stop iteration": (raising(StopIteration(3)), "StopIteration: 3"),
    "odd base exception": (raising(BaseException("odd")), "BaseException: odd"),
    "endless recursion": (endless, "RecursionError: maximum recursion depth exceeded"),
    "out of memory": (raising(MemoryError()), "MemoryError without a message"),
    "no words": (raising(SilentError()), "SilentError without a message"),
    "words that raise": (raising(UnprintableError()), "UnprintableError, whose message raises SystemExit"),
    "many lines": (raising(RuntimeError("[/b] line 1\n\nline 2")), "RuntimeError: [/b] line 1 line 2"),
}
"""Name -> what the plugin does, and what is said of it."""
