"""The examples of docs/plugins.md as a module, so that what the page shows is what tests run."""

import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"


@cache
def documented():
    """All Python blocks of the page, one after another, imported as a plugin's module would be."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    path = Path(mkdtemp()) / "documented_plugin.py"
    path.write_text("\n\n".join(blocks), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
