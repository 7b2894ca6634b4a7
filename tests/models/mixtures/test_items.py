"""Latent classes: E-steps of many starts at once, starts, and fits."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_nn.data.rows import Rows
from spectral_nn.emissions.categorical_items import CategoricalItems, indicators
from spectral_nn.emissions.gaussian import DiagonalGaussian
from spectral_nn.models.base import Start
from spectral_nn.models.fit import maximise_likelihood
from spectral_nn.models.mixtures.items import (
    ItemsModel,
    ItemsOptions,
    distinct_rows,
    fit_items,
    infer_classes,
)
from spectral_nn.models.mixtures.model import MixtureModel, MixtureParameters
from spectral_nn.models.mixtures.together import (
    advance_together,
    expect_together,
    join,
    posteriors,
    split,
)
from spectral_nn.models.tables import TableData
from spectral_nn.results import RankError, RankWarning
from spectral_nn.runners.base import SerialRunner
from tests.models.mixtures.test_views import matched, planted

SIZES = (2, 3, 2, 4)
RUN = SerialRunner()


def draw(rng, n, sizes=SIZES, missing=0.2):
    codes = np.stack([rng.integers(0, size, n) for size in sizes], axis=1).astype(float)
    codes[rng.random(codes.shape) < missing] = np.nan
    return codes


def mixtures(rng, n_mixtures, n_components=3, sizes=SIZES):
    return [MixtureParameters(*planted(rng, n_components, sizes)) for _ in range(n_mixtures)]


def sample(rng, weights, law, n):
    x = law.sample(rng.choice(weights.size, n, p=weights), rng)
    begins = np.cumsum(law.n_categories) - np.array(law.n_categories)
    ends = [*begins[1:], None]
    return np.stack([x[:, a:b].argmax(axis=1) for a, b in zip(begins, ends, strict=True)], axis=1)


def fit(codes, n_components, weight=None, sizes=None, seed=0, **options):
    weight = np.ones(len(codes)) if weight is None else weight
    return fit_items(
        codes.astype(float),
        weight,
        sizes or (2,) * codes.shape[1],
        ItemsOptions(n_components, **options),
        rng=np.random.default_rng(seed),
        run=RUN,
    )


def test_the_e_step_is_bayes_rule_by_enumeration():
    """Of a row with missing answers: the sum over all the answers that there may be."""
    rng = np.random.default_rng(0)
    (one,) = mixtures(rng, 1)
    items = one.emission.of_items()
    codes = draw(rng, 12)
    shares, log_likelihoods = posteriors(one, Rows.of(indicators(codes, SIZES)))
    for row, share, value in zip(codes, shares, log_likelihoods, strict=True):
        joint = np.zeros(3)
        for full in product(*map(range, SIZES)):
            if all(np.isnan(seen) or seen == code for seen, code in zip(row, full, strict=True)):
                joint += one.weights * np.prod(
                    [item[:, code] for item, code in zip(items, full, strict=True)], axis=0
                )
        assert_allclose(np.exp(value), joint.sum(), rtol=1e-12)
        assert_allclose(share, joint / joint.sum(), rtol=1e-10)


@pytest.mark.parametrize("csr", [False, True])
def test_mixtures_together_are_the_mixtures_one_by_one(csr):
    rng = np.random.default_rng(1)
    several, model = mixtures(rng, 4), MixtureModel()
    rows = Rows.of(indicators(draw(rng, 40), SIZES, csr=csr), weight=rng.random(40))
    found = expect_together(rows, *join(several))
    plain = rows._replace(X=rows.X.toarray() if csr else rows.X)
    for s, one in enumerate(several):
        alone = model.statistic(one, plain)
        assert_allclose(found.counts[:, s], alone.counts, rtol=1e-12)
        assert_allclose(found.sums[s::4], alone.sums, rtol=1e-12, atol=1e-15)
        assert found.log_likelihood[s] == pytest.approx(alone.log_likelihood, rel=1e-12)
        own = ItemsModel().statistic(one, rows)
        assert_allclose(own.sums, alone.sums, rtol=1e-12, atol=1e-15)


def test_splitting_undoes_joining():
    several = mixtures(np.random.default_rng(2), 3)
    for one, again in zip(several, split(*join(several)), strict=True):
        assert_array_equal(one.weights, again.weights)
        assert_array_equal(one.emission.probs, again.emission.probs)


def test_steps_together_are_those_of_em():
    rng = np.random.default_rng(3)
    model = ItemsModel(0.5, 1.5)
    rows = Rows.of(indicators(draw(rng, 60), SIZES))
    starts = [Start("random", one) for one in mixtures(rng, 3)]
    moved = advance_together(model, starts, [rows], n_iter=2, run=RUN)
    assert [value for _, value, _ in moved] == sorted((v for _, v, _ in moved), reverse=True)
    found = {value: one.parameters for one, value, _ in moved}
    for start in starts:
        data = TableData(model, rows, RUN)
        alone = maximise_likelihood(model, start.parameters, data.expect, n_iter=2, tol=0)
        value = min(found, key=lambda v: abs(v - alone.history[-1]))
        assert value == pytest.approx(alone.history[-1], rel=1e-12)
        assert_allclose(found[value].emission.probs, alone.parameters.emission.probs, rtol=1e-10)


def test_other_laws_climb_together_too():
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(6, 2, (100, 2))])
    starts = [
        Start("random", MixtureParameters(np.full(2, 0.5), DiagonalGaussian(m, np.ones((2, 2)))))
        for m in rng.standard_normal((3, 2, 2))
    ]
    moved = advance_together(MixtureModel(), starts, [Rows.of(x)], n_iter=100, run=RUN)
    law = moved[0][0].parameters.emission
    assert_allclose(np.sort(law.means[:, 0]), [0, 6], atol=0.6)


def test_equal_rows_are_one_that_weighs_more():
    rng = np.random.default_rng(5)
    codes, weight = draw(rng, 300, (2, 2, 3)), rng.random(300)
    found, total = distinct_rows(codes, weight, (2, 2, 3))
    assert len(np.unique(np.nan_to_num(found, nan=-1), axis=0)) == len(found) < 37
    for row, mass in zip(found, total, strict=True):
        equal = ((codes == row) | (np.isnan(codes) & np.isnan(row))).all(axis=1)
        assert mass == pytest.approx(weight[equal].sum())


def test_rows_of_very_many_items_are_told_apart():
    """A row as one number in mixed radix would overflow."""
    codes = np.random.default_rng(6).integers(0, 9, (50, 100)).astype(float)
    codes = np.concatenate([codes, codes[:20]])
    found, total = distinct_rows(codes, np.ones(70), (9,) * 100)
    assert len(found) == 50
    assert total.sum() == 70
    assert (np.sort(total) == [1.0] * 30 + [2.0] * 20).all()


def test_planted_classes_are_found():
    rng = np.random.default_rng(7)
    weights, law = planted(rng, 4, (2, 3) * 5, 0.7)
    codes = sample(rng, weights, law, 5000)
    found = fit(codes, 4, sizes=law.n_categories)
    order = matched(found.parameters.emission.probs, law.probs)
    assert_allclose(found.parameters.emission.probs[order], law.probs, atol=0.06)
    assert_allclose(found.parameters.weights[order], weights, atol=0.03)
    assert found.converged
    assert (np.diff(found.history) >= -1e-9 * abs(found.history[-1])).all()


def test_missing_answers_cost_little():
    rng = np.random.default_rng(8)
    weights, law = planted(rng, 3, (2, 3) * 5, 0.7)
    codes = sample(rng, weights, law, 6000).astype(float)
    codes[rng.random(codes.shape) < 0.3] = np.nan
    found = fit(codes, 3, sizes=law.n_categories)
    order = matched(found.parameters.emission.probs, law.probs)
    assert_allclose(found.parameters.emission.probs[order], law.probs, atol=0.08)


def test_moments_alone():
    rng = np.random.default_rng(9)
    weights, law = planted(rng, 3, (2,) * 12, 0.5)
    found = fit(sample(rng, weights, law, 20_000), 3, n_iter=0)
    order = matched(found.parameters.emission.probs, law.probs)
    assert_allclose(found.parameters.emission.probs[order], law.probs, atol=0.1)
    assert found.report.moments[0].rank == 3
    assert len(found.history) == 1


def test_moments_alone_of_too_many_classes():
    rng = np.random.default_rng(10)
    codes = rng.integers(0, 2, (500, 6))
    with pytest.raises(RankError, match="n_components=5"):
        fit(codes, 5, n_iter=0)
    with pytest.raises(RankError, match="three items"):
        fit(codes[:, :2], 2, n_iter=0)


def test_moments_that_show_fewer_classes_are_completed():
    rng = np.random.default_rng(11)
    codes = rng.integers(0, 2, (500, 6))
    with pytest.warns(RankWarning, match=r"show 1 classes, and n_components=3"):
        found = fit(codes, 3, n_init=1)
    assert found.report.winner == "tensor"
    assert found.report.moments[0].n_shown == 1


def test_seeds_make_fits_and_the_order_of_rows_does_not():
    rng = np.random.default_rng(12)
    weights, law = planted(rng, 3, (2,) * 8)
    codes = sample(rng, weights, law, 400)
    first, again = fit(codes, 3), fit(codes[rng.permutation(400)], 3)
    assert_array_equal(first.parameters.emission.probs, again.parameters.emission.probs)


def test_weights_are_repetitions():
    rng = np.random.default_rng(13)
    codes = sample(rng, *planted(rng, 2, (2,) * 6), 200)
    times = rng.integers(1, 4, 200)
    weighed = fit(codes, 2, weight=times.astype(float))
    repeated = fit(np.repeat(codes, times, axis=0), 2)
    assert_allclose(
        weighed.parameters.emission.probs, repeated.parameters.emission.probs, rtol=1e-9
    )


def test_one_class_is_the_shares_of_answers():
    codes = draw(np.random.default_rng(14), 100)
    found = fit(codes, 1, sizes=SIZES)
    for j, item in enumerate(found.parameters.emission.of_items()):
        seen = codes[codes[:, j] >= 0, j].astype(int)
        assert_allclose(item[0], np.bincount(seen, minlength=SIZES[j]) / seen.size)


def test_rows_without_answers_say_nothing():
    rng = np.random.default_rng(15)
    one = mixtures(rng, 1)[0]
    shares, values = infer_classes(one, np.full((2, 4), np.nan), RUN)
    assert_allclose(shares, np.tile(one.weights, (2, 1)))
    assert_allclose(values, 0, atol=1e-12)


def test_an_impossible_row_has_the_weights_of_the_classes():
    law = CategoricalItems(np.array([[1.0, 0.0], [1.0, 0.0]]), (2,))
    one = MixtureParameters(np.array([0.3, 0.7]), law)
    shares, values = infer_classes(one, np.array([[1.0]]), RUN)
    assert_allclose(shares, [[0.3, 0.7]])
    assert values[0] == -np.inf


@pytest.mark.parametrize("csr", [False, True])
def test_e_steps_of_shards_add_up(csr):
    rng = np.random.default_rng(16)
    (one,) = mixtures(rng, 1)
    rows = Rows.of(indicators(draw(rng, 9000), SIZES, csr=csr), weight=rng.random(9000))
    whole = ItemsModel().statistic(one, rows)
    shards = [rows.cut(a, b) for a, b in ((0, 1000), (1000, 1001), (1001, 6000), (6000, 9000))]
    merged = RUN.total(lambda shard: ItemsModel().statistic(one, shard), shards)
    assert_allclose(merged.sums, whole.sums, rtol=1e-12)
    assert_allclose(merged.counts, whole.counts, rtol=1e-12)
    assert merged.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
