"""``python -m smash_gpu.cli``, the same as ``smash-gpu``."""

import sys

from smash_gpu.cli import main

sys.exit(main())
