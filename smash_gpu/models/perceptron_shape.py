"""The layers of the network, without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Hidden layers, each with half the units and half the drop-out of the one before; by default those of the paper.

    Raises
    ------
    ValueError
        If there is no layer, no unit in the last one, or the drop-out is no share below 1.
    """

    n_layers: int = 2
    n_hidden: int = 32
    dropout_rate: float = 0.2

    def __post_init__(self) -> None:
        if self.n_layers < 1:
            raise ValueError(f"n_layers={self.n_layers} must be at least 1.")
        if self.n_hidden < 2 ** (self.n_layers - 1):
            raise ValueError(
                f"n_hidden={self.n_hidden} leaves no unit for the last of {self.n_layers} layers, each with half as "
                "many as the one before; pass more units or fewer layers."
            )
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(f"dropout_rate={self.dropout_rate} must be at least 0 and below 1.")

    @property
    def layers(self) -> list[tuple[int, float]]:
        """Units and drop-out of every hidden layer."""
        return [(self.n_hidden // 2**i, self.dropout_rate / 2**i) for i in range(self.n_layers)]
