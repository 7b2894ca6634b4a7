"""Rivals: one file a rival. Those for hidden Markov models all have the same two functions.

``prepare_e_step(parameters, codes, offsets)`` returns a callable that does one E-step over the
sequences ``codes[offsets[i]:offsets[i + 1]]`` (start, transition and emission statistics) and
returns its log likelihood in nats; anything to be compiled or converted is done beforehand.

``fit(codes, offsets, n_components, n_symbols, *, n_init, n_iter, seed, start=None)`` learns a model
by EM, keeps the restart with the highest training likelihood and returns
``(parameters, seconds, log likelihood of each restart)``. With ``start`` it runs once, from there.

`hmmlearn_series` is for rows of numbers, ``rows`` of sequences of ``lengths``, and has the
functions of ``bench.ours_series``: ``prepare_e_step(covariance, fitted, rows, lengths)``, where
``fitted`` has hmmlearn's attributes, and ``fit(rows, lengths, n_components, covariance, *, seed,
...)``, which returns the fitted model and the seconds of the processor that one start took.
`dynamax_series` has the former.

`hmmlearn_series` and `sequentia` have ``classifier(recordings, labels, n_components, *, seed,
n_iter)``, which fits a model to the recordings of each label and returns what labels others.

`sklearn_mlp` is for networks, with a ``fit`` of its own.

`sklearn_labels` is for labels on graphs, with a ``fit`` of its own.

`stc` and `stnmf` have ``directions``, which finds the subunits of a cell that looks at white noise.
"""
