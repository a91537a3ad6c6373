"""``python -m benchmarks NAME [options]``."""

import sys
from importlib import import_module

NAMES = (
    "atlas",
    "boosting_rounds",
    "command",
    "consensus",
    "dask_boosting",
    "dask_smash",
    "deeplift",
    "forests",
    "gpu",
    "gpu_first_look",
    "gpu_models",
    "gpu_table",
    "inverse_pca",
    "judging",
    "kernel_instructions",
    "marker_scores",
    "memory",
    "model_options",
    "network_settings",
    "nested_panels",
    "panel",
    "panel_example",
    "panel_modes",
    "panel_thousand",
    "panel_tuning",
    "paper",
    "peers",
    "probe_sets",
    "quality",
    "quality_table",
    "spatial",
    "startup",
    "statistics_loops",
    "tables",
    "tuning",
    "two_steps",
    "variation",
    "variation_noise",
    "which_model",
    "which_model_table",
    "worked_order",
    "xgboost_settings",
)

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f"usage: python -m benchmarks {'|'.join(NAMES)} [options]")
    import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])
