"""A list for messages."""

from __future__ import annotations

import pytest


@pytest.fixture
def told():
    return []
