"""``python -m smash_gpu``, the same as ``smash-gpu``."""

import sys

from smash_gpu.cli import main

sys.exit(main())
