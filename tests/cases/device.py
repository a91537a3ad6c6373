"""Data for a device."""

from __future__ import annotations

from dataclasses import replace


def on(data, device):
    return replace(data, device=device)
