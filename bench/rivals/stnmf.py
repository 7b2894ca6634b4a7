"""Spike-triggered non-negative matrix factorisation, by the package of its authors.

Zapp et al., *Accelerated spike-triggered non-negative matrix factorization reveals coordinated
ganglion cell subunit mosaics in the primate retina*, 2024 (doi 10.1101/2024.04.22.590506).
"""

import numpy as np
from numpy.typing import NDArray

from bench.planted_cells import SIDE, Cell

MODULES = 20  # the default of the package, and more than there are subunits


def directions(cell: Cell) -> NDArray[np.float64]:
    """Modules (256, 20) of the stimuli that spikes followed, once for each spike.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed.
    """
    from stnmf import STNMF

    shown = np.repeat(cell.X, cell.y.astype(int), axis=0)
    found = STNMF(shown.T.reshape(SIDE, SIDE, -1), r=MODULES, disp=False)
    return found.modules.reshape(MODULES, -1).T.astype(np.float64)
