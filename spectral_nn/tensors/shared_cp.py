"""One decomposition of symmetric tensors of several orders that share their directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.blas import one_blas_thread
from spectral_nn.tensors.cp import cp_als
from spectral_nn.tensors.jennrich import jennrich
from spectral_nn.tensors.matching import match_components

__all__ = ["SharedFactors", "polish_directions", "shared_cp"]

_RIDGE = 1e-6
_STEPS, _FEW_STEPS = 300, 60
_TOL = 1e-9  # relative fall of the objective at which a start has arrived
_STARTS = ("jennrich", "jennrich", "random", "jennrich", "als", "random", "jennrich")
_MORE_STARTS = (*["random"] * 5, "jennrich") * 3
_LEAST_STARTS, _FLOPS = 4, 2e10  # after these, a large problem has had its starts
_WITNESSES = 3  # other starts that have to end where the best one did
_SLICES = 24  # random combinations of each order that Jennrich's starts look at
_AGREE = 5.0  # degrees between the directions of two starts that found the same


@dataclass(frozen=True, eq=False)
class SharedFactors:
    r"""Tensors of several orders as sums over the same directions.

    .. math:: T_m \approx \sum_j \lambda_{mj}\, u_j^{\otimes m}

    Attributes
    ----------
    directions : (K, k)
        Unit columns, those along which the tensors are largest first.
    weights : one array (k, S_m) a tensor
        Signed.
    variances : (number of tensors, k)
        Variance of the weights where the tensors carry white noise of variance 1:
        the diagonal of the inverse Gram matrix of :math:`u_j^{\otimes m}`.
    explained : float
        Share of the tensors' squared norm that the sums reach.
    agreement : float
        Share of the other starts that ended within 5 degrees (mean angle) of the best one.
    condition : float
        Condition number of ``directions.T @ directions``.
    """

    directions: NDArray
    weights: tuple[NDArray, ...]
    variances: NDArray
    explained: float
    agreement: float
    condition: float


@one_blas_thread()
def shared_cp(
    tensors: Sequence[NDArray],
    n_components: int,
    *,
    thorough: bool = True,
    rng: np.random.Generator,
) -> SharedFactors:
    r"""Fit one set of directions to symmetric tensors of several orders.

    .. math:: \min_{U, \lambda} \sum_m \sum_s
        \Big\| T_{ms} - \sum_j \lambda_{mjs}\, u_j^{\otimes m} \Big\|_F^2

    The weights are free for every tensor and slice, so they are eliminated
    (variable projection): what is left is to maximise
    :math:`\sum_{ms} r_{ms}^T ((U^T U)^{\circ m})^{-1} r_{ms}` with
    :math:`r_{msj} = T_{ms}(u_j, \dots, u_j)`, by L-BFGS from several starts.  Signs of the
    weights do not matter, and a direction that one order does not show is found by another.

    Parameters
    ----------
    tensors : arrays (K, ..., K, S)
        Symmetric in all axes but the last, which counts slices; of order 1 and up, in any number,
        at least one of order 2 or more.  White noise of equal variance in all of them makes this
        the least-squares estimate.
    n_components : int
        k, which may exceed K.
    thorough : bool, default True
        Whether to begin again until starts agree. False is for tensors that are mostly noise, and
        so is more directions than dimensions: 60 iterations from four starts have to do then.
    rng : numpy.random.Generator
        Draws the starts.

    Raises
    ------
    ValueError
        If the tensors' shapes do not fit, or an entry is not finite.

    Notes
    -----
    On the host, on one BLAS thread.  O(k K^m S) an evaluation and tensor, a few hundred evaluations
    a start.  Starts are simultaneous diagonalisations of random slices, random directions, and
    alternating least squares, in turns, until three others confirm the best one, at most 25, or
    fewer where they cost more than some seconds (30 directions in 30 dimensions: 5).

    The idea of several orders with tied factors: Kuleshov, Chaganty, Liang, *Tensor factorization
    via matrix factorization*, AISTATS 2015; variable projection: Golub, Pereyra, SIAM J. Numer.
    Anal. 10 (1973).

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import shared_cp
    >>> rng = np.random.default_rng(0)
    >>> U = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    >>> T2 = np.einsum("ij,kj,j->ik", U, U, [1.0, -2.0, 0.0])[..., None]
    >>> T3 = np.einsum("ij,kj,lj,j->ikl", U, U, U, [0.0, 1.0, 3.0])[..., None]
    >>> found = shared_cp([T2, T3], 3, rng=rng)
    >>> np.abs(found.directions.T @ U).max(axis=0).round(6)
    array([1., 1., 1.])
    """
    scale = _check(tensors)
    slices = np.concatenate([_slices(T / scale, rng) for T in tensors if T.ndim > 2])
    packed = [_Packed.of(T / scale) for T in tensors]
    thorough = thorough and n_components <= tensors[0].shape[0]
    ends: list[tuple[float, NDArray]] = []
    flops = 0.0
    for kind in _STARTS + _MORE_STARTS if thorough else _STARTS[:4]:
        start = _start(kind, slices, n_components, rng)
        value, end, n_evaluations = _climb(packed, start, _STEPS if thorough else _FEW_STEPS)
        ends.append((value, end))
        ends.sort(key=lambda end: end[0])
        best, directions = ends[0]
        near = [_mean_angle(directions, other) < _AGREE for _, other in ends[1:]]
        flops += n_evaluations * 2.0 * n_components * sum(one.entries.size for one in packed)
        if sum(near) >= _WITNESSES or (flops > _FLOPS and len(ends) >= _LEAST_STARTS):
            break
    weights, inverses = [], []
    directions = directions[:, np.argsort(-_loudness(packed, directions), kind="stable")]
    generic = np.cos(np.arange(1, directions.shape[0] + 1))  # signs that hang on no start
    directions = directions * np.where(generic @ directions < 0, -1.0, 1.0)
    gram = directions.T @ directions
    for one in packed:
        inverse = np.linalg.inv(gram**one.order + _RIDGE * np.eye(n_components))
        values = np.einsum("ij,jis->js", directions, one.contract(directions))
        weights.append(scale * (inverse @ values))
        inverses.append(np.diag(inverse))
    return SharedFactors(
        directions=directions,
        weights=tuple(weights),
        variances=np.array(inverses),
        explained=-best,
        agreement=float(np.mean(near)),
        condition=float(np.linalg.cond(gram)),
    )


@one_blas_thread()
def polish_directions(tensors: Sequence[NDArray], directions: NDArray) -> NDArray:
    """Climb from given directions to the nearest optimum of `shared_cp`.

    Parameters
    ----------
    tensors : arrays (K, ..., K, S)
        As those of `shared_cp`.
    directions : (K, k)
        Unit columns, such as the solution for tensors nearly the same.

    Returns
    -------
    (K, k) array
        Unit columns, in the order and of the signs of those given.
    """
    scale = _check(tensors)
    _, found, _ = _climb([_Packed.of(T / scale) for T in tensors], directions, _STEPS)
    return found * np.where(np.sum(found * directions, axis=0) < 0, -1.0, 1.0)


def _climb(tensors: Sequence[_Packed], start: NDArray, n_steps: int) -> tuple[float, NDArray, int]:
    """Objective and unit columns where L-BFGS ends, and how many evaluations it took."""
    # Slow to import, and needed by nothing else here.
    from scipy.optimize import minimize

    end = minimize(
        _objective,
        start.ravel(),
        args=(tensors, start.shape),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": n_steps, "ftol": _TOL, "gtol": 1e-7, "maxcor": 20},
    )
    return float(end.fun), _unit_columns(end.x.reshape(start.shape)), int(end.nfev)


def _loudness(tensors: Sequence[_Packed], U: NDArray) -> NDArray:
    """Sum of the squares of each direction's values in all tensors, (k,)."""
    values = [np.einsum("ij,jis->js", U, T.contract(U)) for T in tensors]
    return np.sum(np.concatenate(values, axis=1) ** 2, axis=1)


class _Packed(NamedTuple):
    """A symmetric tensor, of whose last two modes, and first two if it has four, pairs are kept.

    Attributes
    ----------
    entries : (rows, P) for the P pairs of K indices, those of unlike ones twice as large; rows are
        slices and what is left of the other modes. As it is, (K, ..., K, S), for orders 1 and 2.
    order : m.
    n_slices : S.
    one, other : (P,) indices of each pair.
    pair : (K, K) number of the pair of two indices.
    """

    entries: NDArray
    order: int
    n_slices: int
    one: NDArray[np.intp]
    other: NDArray[np.intp]
    pair: NDArray[np.intp]

    @classmethod
    def of(cls, T: NDArray) -> _Packed:
        """Pack a tensor (K, ..., K, S)."""
        order, K, S = T.ndim - 1, T.shape[0], T.shape[-1]
        one, other = np.triu_indices(K)
        pair = np.zeros((K, K), dtype=np.intp)
        pair[one, other] = pair[other, one] = np.arange(one.size)
        if order < 3:
            return cls(T, order, S, one, other, pair)
        T = np.moveaxis(T, -1, 0)[..., one, other]
        if order == 4:
            T = T[:, one, other]
        entries = T.reshape(-1, one.size) * np.where(one == other, 1.0, 2.0)
        return cls(entries, order, S, one, other, pair)

    def contract(self, U: NDArray) -> NDArray:
        r"""Contract with one direction in all modes but one.

        Parameters
        ----------
        U : (K, k)

        Returns
        -------
        (k, K, S) array, :math:`T(I, u_j, \dots, u_j)`.

        Notes
        -----
        O(k K^m S), for m = 4 a quarter of what the whole tensor would take.
        """
        (K, k), S = U.shape, self.n_slices
        if self.order == 1:
            return np.broadcast_to(self.entries, (k, K, S))
        if self.order == 2:
            return (U.T @ self.entries.reshape(K, -1)).reshape(k, K, S)
        rest = self.entries @ (U[self.one] * U[self.other])
        if self.order == 4:
            square = rest.reshape(S, self.one.size, k)[:, self.pair]
            rest = np.einsum("sabj,bj->saj", square, U)
        else:
            for _ in range(self.order - 3):
                rest = np.einsum("sabj,bj->saj", rest.reshape(-1, K, K, k), U)
        return rest.reshape(S, K, k).transpose(2, 1, 0)


def _check(tensors: Sequence[NDArray]) -> float:
    """Check shapes and values; the norm of all tensors together."""
    shapes = [T.shape for T in tensors]
    K = shapes[0][0]
    if any(set(shape[:-1]) != {K} for shape in shapes) or max(map(len, shapes)) < 3:
        raise ValueError(
            f"tensors have shapes {shapes}: each must be (K, ..., K, S) with the same K, and one "
            "of them of order 2 or more."
        )
    scale = float(np.sqrt(sum(float(np.sum(T * T)) for T in tensors)))
    if not np.isfinite(scale):
        raise ValueError("tensors hold NaN or infinity; only finite ones decompose.")
    return scale if scale > 0 else 1.0


def _objective(
    flat: NDArray, tensors: Sequence[_Packed], shape: tuple[int, int]
) -> tuple[float, NDArray]:
    """Minus the squared norm that the directions reach, and its gradient by V, U = V / |V|."""
    V = flat.reshape(shape)
    norms = np.linalg.norm(V, axis=0)
    U = V / norms
    gram = U.T @ U
    reached, gradient = 0.0, np.zeros(shape)
    for T in tensors:
        m, slopes = T.order, T.contract(U)
        values = np.einsum("ij,jis->js", U, slopes)
        power = _power(gram, m - 1)
        system = power * gram
        system.flat[:: shape[1] + 1] += _RIDGE
        weights = np.linalg.solve(system, values)
        reached += float(np.sum(values * weights))
        gradient += 2 * m * np.einsum("jis,js->ij", slopes, weights)
        gradient -= 2 * m * U @ (power * (weights @ weights.T))
    gradient -= U * np.sum(U * gradient, axis=0)
    return -reached, (-gradient / norms).ravel()


def _power(gram: NDArray, m: int) -> NDArray:
    """Elementwise power, m >= 0; ``**`` takes 50 times as long beyond the square."""
    power = np.ones_like(gram)
    for _ in range(m):
        power = power * gram
    return power


def _start(kind: str, slices: NDArray, k: int, rng: np.random.Generator) -> NDArray:
    """Directions to begin with, (K, k); columns beyond K are random."""
    K = slices.shape[1]
    if kind == "jennrich":
        mixed = np.tensordot(rng.standard_normal(len(slices)), slices, axes=1)
        # With T_v = U D_v U^T, T_v T_0^+ = U D_v D_0^-1 U^+ commute.
        commuting = slices @ np.linalg.pinv(mixed, rcond=1e-6)
        return _fill(jennrich(commuting, n_projections=3, rng=rng).basis, k, rng)
    if kind == "als":
        stacked = np.moveaxis(slices, 0, 2)
        found = cp_als(stacked, min(k, K), n_iter=30, tol=0.0, rng=rng)
        return _fill(found.vectors[0], k, rng)
    return _unit_columns(rng.standard_normal((K, k)))


def _slices(T: NDArray, rng: np.random.Generator) -> NDArray:
    """Symmetric matrices (v, K, K): a tensor contracted with random ones in all modes but two."""
    K = T.shape[0]
    matrices = T.reshape(K * K, -1)
    if matrices.shape[1] > _SLICES:
        matrices = matrices @ rng.standard_normal((matrices.shape[1], _SLICES))
        matrices = matrices * (np.linalg.norm(T) / max(float(np.linalg.norm(matrices)), 1e-300))
    return np.moveaxis(matrices.reshape(K, K, -1), 2, 0)


def _fill(start: NDArray, k: int, rng: np.random.Generator) -> NDArray:
    """Take k columns, random ones where there are fewer, or where one is zero."""
    random = rng.standard_normal((start.shape[0], k))
    given = min(k, start.shape[1])
    some = np.linalg.norm(start[:, :given], axis=0) > 1e-12
    random[:, :given] = np.where(some, start[:, :given], random[:, :given])
    return _unit_columns(random)


def _unit_columns(V: NDArray) -> NDArray:
    return V / np.linalg.norm(V, axis=0)


def _mean_angle(U: NDArray, V: NDArray) -> float:
    """Mean angle between matched columns, whatever their signs, degrees."""
    order = match_components(U.T, V.T, cost="cosine")
    cosines = np.abs(np.sum(U * V[:, order], axis=0))
    return float(np.degrees(np.arccos(np.clip(cosines, 0, 1))).mean())
