"""Tensor algebra: contractions, whitening, decompositions, projections and matching.

Pure functions. All take and return arrays of one array API namespace, except `cp_als` and
`match_components`, which work on the host whatever they are given.
"""

from spectral_nn.tensors.contractions import (
    compose,
    khatri_rao,
    multilinear,
    relative_residual,
)
from spectral_nn.tensors.cp import cp_als
from spectral_nn.tensors.jennrich import JointDiagonalisation, jennrich, off_diagonal_ratio
from spectral_nn.tensors.joint_diagonalisation import diagonalise_tensor
from spectral_nn.tensors.matching import match_components
from spectral_nn.tensors.power import tensor_power
from spectral_nn.tensors.shared_cp import SharedFactors, shared_cp
from spectral_nn.tensors.simplex import project_simplex
from spectral_nn.tensors.whitening import Whitening, whiten, whiten_cross

__all__ = [
    "JointDiagonalisation",
    "SharedFactors",
    "Whitening",
    "compose",
    "cp_als",
    "diagonalise_tensor",
    "jennrich",
    "khatri_rao",
    "match_components",
    "multilinear",
    "off_diagonal_ratio",
    "project_simplex",
    "relative_residual",
    "shared_cp",
    "tensor_power",
    "whiten",
    "whiten_cross",
]
