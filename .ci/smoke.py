"""Use an installed wheel, as its first user would: nothing else is there, and no extra.

python -I .ci/smoke.py
"""

import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import spectral_estimators
import spectral_nn
from spectral_estimators import CategoricalHMM, GaussianMixture, MLPRegressor
from spectral_nn.datasets import python_manual_text

for package in (spectral_nn, spectral_estimators):
    assert Path(package.__file__).is_relative_to(sys.prefix), package.__file__
    assert package.__version__ == metadata.version("spectral-nn")
for extra in ("dask", "matplotlib", "torch"):
    assert find_spec(extra) is None, f"{extra} was installed"

letters = [c for c in python_manual_text().lower() if c.isascii() and c.isalpha()][:100_000]
hmm = CategoricalHMM(n_components=2, random_state=0).fit(letters)
vowels = hmm.emissionprob_[:, list(hmm.symbols_).index("a")].argmax()
found = hmm.symbols_[hmm.emissionprob_[vowels] > hmm.emissionprob_[1 - vowels]]
assert set("aeiou") <= set(found), found

rng = np.random.default_rng(0)
means = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
mixture = GaussianMixture(3, random_state=0).fit(
    means[rng.integers(3, size=3000)] + rng.normal(size=(3000, 2))
)
gaps = np.linalg.norm(mixture.means_[:, None] - means, axis=2).min(axis=0)
assert gaps.max() < 0.2, gaps

X = rng.normal(size=(2000, 5))
y = np.maximum(X @ rng.normal(size=(5, 2)), 0).sum(axis=1)
r2 = MLPRegressor(hidden_layer_sizes=(2,), random_state=0).fit(X, y).score(X, y)
assert r2 > 0.95, r2

print(f"spectral-nn {spectral_nn.__version__}: installed alone, three models fitted")
