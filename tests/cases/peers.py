"""Numbers that the original tools computed."""

from __future__ import annotations

import json

from cells import TESTS

ORIGINAL = json.loads((TESTS / "evaluation" / "peers" / "peers.json").read_text())
PANELS = ORIGINAL["panels"]
