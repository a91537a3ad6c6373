"""Why a model decides as it does: one score a group and gene."""
