"""A stand-in for CuPy on machines without a device: NumPy's arithmetic with CuPy's refusals.

Arrays of the host and of the "device" cannot meet: an operation on both, an index that lies on the host, and every
silent way to NumPy (``np.asarray``, the array interface) is a ``TypeError``, as in CuPy. Kernels run through the shim.
Where the real CuPy is installed (`.ci/contracts`), a function or method that it lacks is missing here too.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from emu.emulator import Emulator
from scipy import sparse

try:
    import cupy as real
except ImportError:
    real = None

PROPERTIES = {"name": b"Stand-in", "major": 9, "minor": 0, "multiProcessorCount": 132, "totalGlobalMem": 2**31}
H100_SHARED_BYTES = 227 * 1024
TAKES_HOST_ARRAYS = ("asarray", "array")
TAKES_LISTS = ("asarray", "array", "concatenate", "stack")


def on_device(value):
    """NumPy results as device arrays, also inside tuples; everything else unchanged."""
    if isinstance(value, tuple):
        return tuple(map(on_device, value))
    return DeviceArray(value) if isinstance(value, np.ndarray | np.generic) else value


def of_device(value):
    """Device arrays as NumPy, also inside tuples and lists; an array of the host is refused."""
    if isinstance(value, tuple | list):
        return type(value)(map(of_device, value))
    if isinstance(value, np.ndarray):
        raise TypeError(f"an array of the host, shape {value.shape}, where CuPy takes arrays of the device")
    return value.values if isinstance(value, DeviceArray) else value


def called(function, arguments, options):
    """``function`` on device arrays; not into a part of one that it reads, of which CuPy would make a copy first."""
    out = options.get("out")
    for target in out if isinstance(out, tuple) else (out,):
        if any(a is not target and _overlap(a, target) for a in arguments):
            raise TypeError("an array that shares memory with the output, which CuPy copies")
    options = {name: of_device(value) for name, value in options.items()}
    return on_device(function(*map(of_device, arguments), **options))


def _overlap(*both):
    return all(isinstance(a, DeviceArray) for a in both) and np.may_share_memory(*(a.values for a in both))


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """What ``cupy.ndarray`` lets one do, as far as the package does it."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def get(self):
        """A copy on the host."""
        return self.values.copy()

    def __array__(self, *_, **__):
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return called(getattr(ufunc, method), inputs, options)

    def __getattr__(self, name):
        if name.startswith("__") or not hasattr(real.ndarray if real else np.ndarray, name):
            raise AttributeError(name)
        found = getattr(self.values, name)
        return (lambda *a, **o: called(found, a, o)) if callable(found) else on_device(found)

    def __getitem__(self, index):
        return on_device(self.values[of_device(index)])

    def __setitem__(self, index, value):
        self.values[of_device(index)] = of_device(value)

    def __len__(self):
        return len(self.values)

    def __int__(self):
        return int(self.values)

    def __float__(self):
        return float(self.values)

    def __bool__(self):
        return bool(self.values)

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class DeviceCsr:
    """What ``cupyx.scipy.sparse.csr_matrix`` lets one do, as far as the package does it.

    ``questions`` counts the kernels that look whether a matrix is canonical, each of which waits for the device.
    """

    questions = 0

    def __init__(self, source, shape=None):
        if isinstance(source, tuple):
            self.data, self.indices, self.indptr = source
            self.shape = shape
            if not all(isinstance(part, DeviceArray) and part.ndim == 1 for part in source):
                raise ValueError("data, indices, and indptr must be 1-D cupy arrays")
            ends = self.indptr.values[[0, -1]].tolist()
            if ends != [0, len(self.data)] or len(self.indices) != len(self.data) or len(self.indptr) != shape[0] + 1:
                raise ValueError(f"index pointers from {ends[0]} to {ends[1]} for {len(self.data)} values")
        else:
            host = sparse.csr_matrix(of_device(source) if isinstance(source, DeviceArray) else source)
            self.data, self.indices, self.indptr = map(DeviceArray, (host.data, host.indices, host.indptr))
            self.shape = host.shape
        if self.dtype.char not in "?fdFD":
            raise ValueError("Only bool, float32, float64, complex64 and complex128 are supported")

    @property
    def dtype(self):
        """Type of the values."""
        return self.data.values.dtype

    @property
    def has_canonical_format(self):
        """Asked of the device once a matrix, unless it has been set."""
        if not hasattr(self, "canonical"):
            DeviceCsr.questions += 1
            self.canonical = bool(self.get().has_canonical_format)
        return self.canonical

    @has_canonical_format.setter
    def has_canonical_format(self, value):
        self.canonical = value

    def astype(self, dtype):
        """With other values of the same places."""
        return DeviceCsr((self.data.astype(dtype), self.indices, self.indptr), self.shape)

    def copy(self):
        """With arrays of its own."""
        return DeviceCsr(tuple(DeviceArray(p.get()) for p in (self.data, self.indices, self.indptr)), self.shape)

    def sum_duplicates(self):
        """In place."""
        host = self.get()
        host.sum_duplicates()
        self.__init__(host)
        self.canonical = True

    def get(self):
        """The matrix on the host."""
        return sparse.csr_matrix((self.data.get(), self.indices.get(), self.indptr.get()), self.shape)

    def tocsr(self):
        """Itself."""
        return self

    def __getitem__(self, rows):
        return DeviceCsr(self.get()[of_device(rows)])


class StrictCupy:
    """The module ``cupy``: NumPy's functions of the same name, on device arrays only."""

    ndarray = DeviceArray
    nan, newaxis = np.nan, None
    cuda = SimpleNamespace(
        runtime=SimpleNamespace(
            getDeviceCount=lambda: 1,
            getDevice=lambda: 0,
            getDeviceProperties=lambda _: PROPERTIES,
            driverGetVersion=lambda: 13010,
            runtimeGetVersion=lambda: 13000,
            memGetInfo=lambda: (2**30, 2**31),
            deviceSynchronize=lambda: None,
            CUDARuntimeError=RuntimeError,
        ),
        nvrtc=SimpleNamespace(getVersion=lambda: (13, 0)),
        get_allocator=lambda: None,
        set_allocator=lambda allocator: None,
    )
    pool = SimpleNamespace(
        total_bytes=lambda: 0, free_bytes=lambda: 0, free_all_blocks=lambda: None, malloc=lambda size: None
    )

    def get_default_memory_pool(self):
        """A pool that holds nothing."""
        return self.pool

    def __getattr__(self, name):
        if real and not hasattr(real, name):
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        return _strict(getattr(np, name), name)


def _strict(found, name):
    if isinstance(found, type):
        return found
    if not callable(found):
        return SimpleNamespace(**{n: _strict(getattr(found, n), n) for n in ("eigh",)})
    if name in TAKES_HOST_ARRAYS:
        return lambda x, *a, **o: DeviceArray(found(x.values if isinstance(x, DeviceArray) else x, *a, **o))

    def on_arrays(*arguments, **options):
        if name not in TAKES_LISTS and any(isinstance(a, list) for a in arguments):
            raise TypeError("Unsupported type <class 'list'>")
        return called(found, arguments, options)

    return on_arrays


def install(monkeypatch):
    """Let the package believe that it has CuPy and a device."""
    from smash_gpu.blocks import readers
    from smash_gpu.compute import cuda as compute_cuda
    from smash_gpu.compute import pca, xp

    emulator = Emulator()
    strict, csr = (
        StrictCupy(),
        SimpleNamespace(csr_matrix=DeviceCsr, issparse=lambda x: isinstance(x, DeviceCsr)),
    )

    def launch(kernel, types, shape, arguments):
        emulator.launch(kernel, types, shape, tuple(map(of_device, arguments)))

    monkeypatch.setattr(pca, "find_spec", lambda name: None)  # cuML, where it is installed, needs a device
    monkeypatch.setattr(xp, "cupy", strict)
    for module in (xp, readers):
        monkeypatch.setattr(module, "device_sparse", csr)
    monkeypatch.setattr(compute_cuda, "launch", launch)
    monkeypatch.setattr(compute_cuda, "shared_memory", lambda: H100_SHARED_BYTES)
    monkeypatch.setattr(compute_cuda, "multiprocessors", lambda: 132)
    return strict
