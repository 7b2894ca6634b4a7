"""Row-wise arithmetic of a time step of lanes: on an NVIDIA GPU one kernel reads a table once.

With whole-array operations each factor of a step is a kernel that reads and writes tables of its
own, and those, not the products of matrices, take most of the time.
"""

from __future__ import annotations

import array_api_compat
import numpy as np

from spectral_nn.arrays import Array, from_numpy, get_namespace
from spectral_nn.cuda import run_on_rows

__all__ = ["filter_rows", "smooth_rows"]


def filter_rows(table: Array, emission: Array, codes: Array) -> tuple[Array, Array]:
    """Weigh predictions with likelihoods, and make them sum to one.

    Parameters
    ----------
    table : (S, K) predictions; written to.
    emission : (D + 1, K) likelihoods of codes.
    codes : (S,) of int32.

    Returns
    -------
    filtered : (S, K)
    scale : (S,) what the rows summed to; infinite where that is no positive number.

    Notes
    -----
    Rabiner 1989, section V.A.  Of (S, K) numbers: one read and one write on an NVIDIA GPU.
    """
    xp = get_namespace(table)
    if array_api_compat.is_cupy_array(table):
        scale = xp.empty_like(table[:, 0])
        run_on_rows(_SOURCE, "filter_rows", table, emission, codes, scale)
        return table, scale
    table *= xp.take(emission, codes, axis=0)
    total = table @ xp.ones_like(table[0, :])
    scale = xp.where(total > 0, total, from_numpy(np.asarray(np.inf), like=table))
    table /= scale[:, None]
    return table, scale


def smooth_rows(
    filtered: Array, backward: Array, emission: Array, codes: Array, scale: Array, own: Array
) -> tuple[Array, Array, Array]:
    """Posteriors of a step, and what it passes on to the step before.

    Parameters
    ----------
    filtered, backward : (S, K)
    emission : (D + 1, K) likelihoods of codes.
    codes : (S,) of int32.
    scale, own : (S,) see `filter_rows`; 1 where a lane owns the position, else 0.

    Returns
    -------
    smoothed : (S, K), ``filtered * backward``.
    onward : (S, K), ``emission[codes] * backward / scale``.
    counted : (S, K), ``onward`` where the lane owns the position, else 0.
    """
    xp = get_namespace(filtered)
    if array_api_compat.is_cupy_array(filtered):
        found = tuple(xp.empty_like(filtered) for _ in range(3))
        arrays = filtered, backward, emission, codes, scale, own, *found
        run_on_rows(_SOURCE, "smooth_rows", *arrays)
        return found
    onward = xp.take(emission, codes, axis=0)
    onward *= backward
    onward /= scale[:, None]
    return filtered * backward, onward, onward * own[:, None]


_SOURCE = r"""
template <typename T>
__global__ void filter_rows(
    T* table, const T* emission, const int* codes, T* scale, long long n, int K
) {
    const long long row = (blockIdx.x * (long long)blockDim.x + threadIdx.x) / 32;
    const int lane = threadIdx.x % 32;
    if (row >= n) return;
    T* mine = table + row * K;
    const T* likelihood = emission + (long long)codes[row] * K;
    T total = 0;
    for (int k = lane; k < K; k += 32) {
        const T weighed = mine[k] * likelihood[k];
        mine[k] = weighed;
        total += weighed;
    }
    for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(0xffffffffu, total, step);
    if (!(total > 0)) total = (T)(1.0 / 0.0);
    for (int k = lane; k < K; k += 32) mine[k] /= total;
    if (lane == 0) scale[row] = total;
}

template <typename T>
__global__ void smooth_rows(
    const T* filtered, const T* backward, const T* emission, const int* codes, const T* scale,
    const T* own, T* smoothed, T* onward, T* counted, long long n, int K
) {
    const long long row = (blockIdx.x * (long long)blockDim.x + threadIdx.x) / 32;
    const int lane = threadIdx.x % 32;
    if (row >= n) return;
    const T* likelihood = emission + (long long)codes[row] * K;
    const T divisor = scale[row], owned = own[row];
    for (int k = lane; k < K; k += 32) {
        const long long i = row * K + k;
        const T passed = likelihood[k] * backward[i] / divisor;
        smoothed[i] = filtered[i] * backward[i];
        onward[i] = passed;
        counted[i] = passed * owned;
    }
}
"""
