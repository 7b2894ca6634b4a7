"""Latent-variable models and networks learned by the method of moments: the mathematics.

Pure functions on arrays with an explicit random generator. The scikit-learn estimators built
on them live in the import package ``spectral_estimators``.
"""

__version__ = "0.1.0"
