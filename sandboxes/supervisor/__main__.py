"""The entry point of the supervisor: `python3 -I -B <this folder> --jail uid --work /work --warm /opt/octopack/warm`.

The folder runs from wherever it lies, under any name, on the standard library alone: a backend mounts or copies it into
the sandbox at start, so a new version of octopack needs no new image.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[0] = str(here.parent)
    sys.exit(importlib.import_module(f"{here.name}.worker").main(sys.argv[1:]))
