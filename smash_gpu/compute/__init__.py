"""Array libraries, kernels and their twins, the device."""
