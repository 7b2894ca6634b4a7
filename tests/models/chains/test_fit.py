"""The whole fit: recovery, determinism, what stays fixed, and hardly any data."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from spectral_nn.data import Sequences, SequenceStream
from spectral_nn.data.symbols import encode
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.emissions import CategoricalEmission
from spectral_nn.metrics import parameter_errors
from spectral_nn.models.chains import engine as chain_engine
from spectral_nn.models.chains.engine import EXACT_ROWS, LaneEngine
from spectral_nn.models.chains.expectation import expect_exact
from spectral_nn.models.chains.fit import HMMOptions, count, count_excerpt, fit_counts, fit_hmm
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import plan_race
from spectral_nn.models.chains.spectral import fit_startprob
from spectral_nn.models.chains.starts import LASTING, kinds_of
from spectral_nn.models.chains.statistics import Priors
from spectral_nn.moments.ngrams import SymbolCounts
from spectral_nn.results import RankWarning
from spectral_nn.runners.base import SerialRunner, runner

INITS = ["tensor", "random", "anchor"]
NAMES = ("startprob", "transmat", "emission")


def rng_of(seed=0):
    return np.random.default_rng(seed)


def arrays(parameters):
    return [parameters.startprob, parameters.transmat, parameters.emission.probs]


def parts(parameters):
    """What `fixed` holds."""
    return {name: getattr(parameters, name) for name in NAMES}


def assert_same_fit(a, b):
    for x, y in zip(arrays(a.parameters), arrays(b.parameters), strict=True):
        assert_array_equal(x, y)
    assert a.history == b.history
    assert a.converged == b.converged
    assert a.report.winner == b.report.winner


def assert_model(parameters, n_components, n_symbols):
    assert (parameters.n_components, parameters.emission.n_symbols) == (n_components, n_symbols)
    for array in arrays(parameters):
        assert np.isfinite(array).all()
        assert (array >= 0).all()
        assert_allclose(array.sum(axis=-1), 1)


@pytest.fixture(scope="module")
def small():
    """A model with K = 3, d = 6 and 3,000 symbols of it in five sequences."""
    rng = rng_of(11)
    truth = planted_hmm(3, 6, concentration=0.5, rng=rng)
    codes = sample_hmm(truth, 3000, rng)[0][0]
    return truth, Sequences.from_lengths(codes, [1, 2, 1000, 997, 1000])


@pytest.fixture(scope="module")
def sticky():
    """A chain that stays, K = 4, d = 20, N = 30,000: what random starts often get wrong."""
    rng = rng_of(3)
    truth = planted_hmm(4, 20, stay=0.95, rng=rng)
    return truth, Sequences.from_lengths(sample_hmm(truth, 30_000, rng)[0][0])


# counts


def test_counts_of_a_stream_are_those_in_memory(small):
    _, data = small
    whole = count(data, 6, SerialRunner())
    for chunk_tokens in (1, 500, 10**6):
        stream = SequenceStream(list(data), chunk_tokens=chunk_tokens)
        found = count(stream, 6, SerialRunner())
        for name in ("codes", "counts", "symbols", "n_sequences", "n_rows", "share"):
            assert_array_equal(getattr(found, name), getattr(whole, name))
    assert (whole.n_rows, whole.n_tokens, whole.n_sequences) == (3000, 3000, 5)


def counts_of_excerpt(source, n_rows):
    """As a fit makes them: symbols are counted everywhere, windows in an excerpt."""
    whole = count(source, 20, SerialRunner())
    model = ChainModel(Priors(), dtype=np.float64)
    engine = LaneEngine(source, model, n_rows=n_rows, pad=20, run=SerialRunner(), seed=0)
    seen = SymbolCounts(whole.symbols, whole.first, whole.n_sequences, whole.n_rows)
    return whole, count_excerpt(engine.excerpt(), seen, 20, 5)


def test_windows_of_a_sample_do_not_depend_on_how_the_data_come(sticky, monkeypatch):
    _, data = sticky
    whole, everything = counts_of_excerpt(data, 30_000)
    for name in ("codes", "counts", "symbols", "first", "n_rows", "share"):
        assert_array_equal(getattr(everything, name), getattr(whole, name))
    monkeypatch.setattr(chain_engine, "RACE_ROWS", 6000)
    whole, few = counts_of_excerpt(data, 30_000)
    assert_array_equal(few.symbols, whole.symbols)
    assert_array_equal(few.first, whole.first)
    assert (few.n_rows, few.n_sequences) == (whole.n_rows, whole.n_sequences)
    assert few.counts.sum() / whole.counts.sum() == pytest.approx(few.share, rel=0.01)
    assert few.share == pytest.approx(0.2, abs=0.06)
    places = np.searchsorted(whole.codes, few.codes)
    assert_array_equal(whole.codes[places], few.codes)
    assert (few.counts <= whole.counts[places]).all()
    # trigrams of the sample are those of the data, up to chance
    long, short = (x.shortened(3) for x in (whole, few))
    common = long.counts > 200
    share = short.counts[np.searchsorted(short.codes, long.codes[common])] / short.counts.sum()
    assert_allclose(share, long.counts[common] / long.counts.sum(), rtol=0.5)
    _, again = counts_of_excerpt(SequenceStream(list(data), chunk_tokens=777), 30_000)
    for name in ("codes", "counts", "symbols", "first", "n_rows", "share"):
        assert_array_equal(getattr(again, name), getattr(few, name))


class Walked:
    """An iterable of sequences that counts how often it is walked."""

    def __init__(self, sequences):
        self.sequences, self.walks = sequences, 0

    def __iter__(self):
        self.walks += 1
        return iter(self.sequences)


def test_two_walks_over_the_data_before_em_begins(sticky):
    """One counts symbols, one gathers what starts are made of and raced on."""
    _, data = sticky
    walked = Walked(list(data))
    before = []

    def on_step(stage, step, value):
        if stage == "EM" and not before:
            before.append(walked.walks)

    stream = SequenceStream(walked)
    fit_hmm(stream, HMMOptions(4, 20, n_iter=3), rng=rng_of(), on_step=on_step)
    assert before == [2 + 1]  # the first step of EM is told after its own walk


def test_fits_of_counts_do_not_depend_on_the_order_of_parts(small):
    _, data = small
    parts = [count(data[rows], 6, SerialRunner()) for rows in ([0, 2], [3], [1, 4])]
    whole = count(data, 6, SerialRunner())
    options = HMMOptions(3, 6, n_init=4)
    a, b, c = parts
    fits = [fit_counts(x, options, rng=rng_of()) for x in (whole, a + b + c, (c + a) + b)]
    assert_same_fit(fits[0], fits[1])
    assert_same_fit(fits[0], fits[2])


def test_fits_of_counts_learn_the_model(sticky):
    truth, data = sticky
    fit = fit_counts(count(data, 20, SerialRunner()), HMMOptions(4, 20, n_init=4), rng=rng_of())
    errors = parameter_errors(fit.parameters, truth)
    assert errors["emissionprob"] < 0.15
    assert errors["transmat"] < 0.15
    assert len(fit.history) > 1
    assert (np.diff(fit.history) >= 0).all()
    assert fit.converged


# recovery


@pytest.fixture(scope="module")
def sticky_fit(sticky):
    _, data = sticky
    return fit_hmm(data, HMMOptions(4, 20, n_init=8, emission_prior=1.0), rng=rng_of())


def test_planted_model_as_well_as_from_the_truth(sticky, sticky_fit):
    truth, data = sticky
    fixed = parts(truth)
    best = fit_hmm(data, HMMOptions(4, 20, fixed=fixed, emission_prior=1.0), rng=rng_of())
    assert best.report.winner == "given"
    found, bound = (parameter_errors(f.parameters, truth) for f in (sticky_fit, best))
    assert bound["emissionprob"] < 0.08
    for name in ("emissionprob", "transmat"):
        assert found[name] < 1.1 * bound[name] + 1e-3
    assert sticky_fit.history[-1] > best.history[-1] - 1.0
    assert sticky_fit.converged


def test_history_is_the_likelihood_and_never_falls(sticky, sticky_fit):
    _, data = sticky
    gains = np.diff(sticky_fit.history)
    assert (gains >= 0).all()
    exact = expect_exact(sticky_fit.parameters, data).log_likelihood
    assert sticky_fit.history[-1] - 0.3 < exact < sticky_fit.history[-1] + 1.5
    assert gains[-1] < 3e-6 * 30_000 <= gains[:-1].min(initial=np.inf)


def test_report(sticky_fit):
    report = sticky_fit.report
    assert report.n_iter == len(sticky_fit.history)
    assert report.converged == sticky_fit.converged
    assert not report.exact
    assert 0 <= report.lane_error < 1e-4
    assert report.winner == report.starts[0].kind
    assert report.sigma_ratio == pytest.approx(
        report.singular_values[3] / report.singular_values[0]
    )
    assert report.starts[0].likelihood == sticky_fit.history[-1]
    assert all(np.isfinite(start.likelihood) for start in report.starts)
    for start in report.starts:
        assert np.isfinite(start.composite) == (start.kind not in LASTING)


def test_moments_alone_recover_the_model(sticky):
    truth, data = sticky
    fit = fit_hmm(data, HMMOptions(4, 20, n_iter=0), rng=rng_of())
    errors = parameter_errors(fit.parameters, truth)
    assert errors["emissionprob"] < 0.2
    assert errors["transmat"] < 0.25
    assert fit.report.winner == "tensor"


def test_missing_symbols_at_random_leave_the_model(sticky):
    truth, data = sticky
    gaps = np.where(rng_of(1).random(30_000) < 0.2, 20, data.values).astype(np.int32)
    fit = fit_hmm(Sequences(gaps, data.offsets), HMMOptions(4, 20, n_init=4), rng=rng_of())
    errors = parameter_errors(fit.parameters, truth)
    assert errors["emissionprob"] < 0.12
    assert errors["transmat"] < 0.08


# the same whoever computes


def fits_by_workers(data, options):
    """Fits in this process, and by two threads."""
    for n_jobs in (1, 2):
        with runner(n_jobs) as run:
            yield fit_hmm(data, options, rng=rng_of(), run=run)


def test_two_workers_change_no_bit(small):
    _, data = small
    options = HMMOptions(3, 6, n_init=4, n_iter=15)
    one, two = fits_by_workers(data, options)
    assert_same_fit(one, two)


def test_two_workers_change_no_bit_in_lanes(sticky, monkeypatch):
    monkeypatch.setattr(SerialRunner, "chunk_tokens", 6400)
    _, data = sticky
    options = HMMOptions(4, 20, n_init=4, n_iter=10)
    one, two = fits_by_workers(data, options)
    assert not one.report.exact
    assert_same_fit(one, two)


def test_two_workers_change_no_bit_of_random_restarts(small):
    _, data = small
    options = HMMOptions(3, 6, init="random", n_init=3, n_iter=15)
    one, two = fits_by_workers(data, options)
    assert_same_fit(one, two)


@pytest.mark.parametrize("init", INITS)
def test_the_generator_decides(small, init):
    _, data = small
    options = HMMOptions(3, 6, init=init, n_init=2, n_iter=5)
    assert_same_fit(*(fit_hmm(data, options, rng=rng_of(7)) for _ in range(2)))


def test_double_precision_of_the_lanes_changes_little(sticky):
    _, data = sticky
    fixed = parts(planted_hmm(4, 20, rng=rng_of(5)))
    single, double = (
        fit_hmm(data, HMMOptions(4, 20, fixed=fixed, n_iter=6, dtype=t), rng=rng_of())
        for t in (np.float32, np.float64)
    )
    assert_allclose(single.history, double.history, rtol=1e-5)
    assert single.history != double.history


def test_a_stream_gives_the_fit_in_memory(small):
    _, data = small
    options = HMMOptions(3, 6, n_init=4, n_iter=20, dtype=np.float64)
    whole = fit_hmm(data, options, rng=rng_of())
    stream = SequenceStream(list(data), chunk_tokens=900)
    found = fit_hmm(stream, options, rng=rng_of())
    assert_allclose(found.history, whole.history, rtol=1e-12)
    for a, b in zip(arrays(found.parameters), arrays(whole.parameters), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)


# what the options say


@pytest.mark.parametrize("init", INITS)
def test_no_iteration_is_no_step_on_the_data(small, init, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("a likelihood step")

    monkeypatch.setattr(LaneEngine, "expect", forbidden)
    _, data = small
    fit = fit_hmm(data, HMMOptions(3, 6, init=init, n_iter=0), rng=rng_of())
    assert fit.history == []
    assert not fit.converged
    assert fit.report.winner == init
    assert_model(fit.parameters, 3, 6)
    counts = count(data, 6, SerialRunner())
    assert fit_counts(counts, HMMOptions(3, 6, init=init, n_iter=0), rng=rng_of()).history == []


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (HMMOptions(3, 6, init="random"), ["random"]),
        (HMMOptions(3, 6, init="random", n_init=3), ["random"] * 3),
        (
            HMMOptions(3, 6),
            ["tensor"] * 2 + ["random", "wide-windows"] + ["random", "random", "sticky"] * 2,
        ),
        (HMMOptions(3, 6, n_init=1), ["wide-windows"]),
        (HMMOptions(3, 6, n_iter=0), ["wide-windows"]),
        (HMMOptions(9, 6, n_init=4), ["tensor", "histories", "wide-windows", "random"]),
        (HMMOptions(3, 6, init="anchor"), ["anchor"] * 3),
        (HMMOptions(3, 6, init="anchor", n_init=2), ["anchor"] * 2),
        (HMMOptions(3, 5000), ["anchor"] * 3 + ["random"] * 3),
        (HMMOptions(3, 5000, n_iter=0), ["tensor"]),
    ],
)
def test_kinds_of_starts(options, kinds):
    counts = count(Sequences(np.arange(20_000) % 6, [0, 20_000]), options.n_symbols, SerialRunner())
    assert kinds_of(options, plan_race(counts, options)) == kinds


class TestPlan:
    """A race costs little more than a climb, whatever the sizes."""

    @pytest.mark.parametrize("n_iter", [1, 10, 100, 1000])
    @pytest.mark.parametrize("n_rows", [3_000, 100_000, 10_000_000])
    @pytest.mark.parametrize("n_components", [2, 10, 60, 300])
    @pytest.mark.parametrize("n_symbols", [5, 1_000, 50_000])
    def test_costs(self, n_iter, n_rows, n_components, n_symbols):
        options = HMMOptions(n_components, n_symbols, n_iter=n_iter)
        plan = plan_race(self.counts(n_rows, n_symbols), options)

        def step(rows):
            return 6 * n_components**2 * rows + 500 * n_components * n_symbols

        n_starts = plan.n_spectral + plan.n_random
        cost = n_starts * plan.window_steps * step(3 * plan.n_windows)
        cost += sum(one.n_starts * one.n_steps * step(one.n_rows) for one in plan.rounds)
        climb = min(n_iter, 100) * step(min(n_rows, 2**19))
        least = 2 * (4 + 4 + 2 + 2) * step(3 * 2**12)  # two steps a start are the least
        assert cost <= 1.3 * climb + 3e8 + least
        assert 4 <= n_starts <= 12

    def test_more_starts_that_are_asked_for_cost_more(self):
        counts = self.counts(100_000, 30)
        few, many = (plan_race(counts, HMMOptions(5, 30, n_init=n)) for n in (12, 64))
        assert many.n_spectral + many.n_random == 64
        assert many.rounds[0].n_rows >= few.rounds[0].n_rows

    def test_decompositions_that_cost_most_of_the_race_are_left_out(self):
        counts = self.counts(100_000, 1000)
        assert plan_race(counts, HMMOptions(200, 1000, n_iter=10)).n_spectral == 0
        assert plan_race(counts, HMMOptions(200, 1000, n_iter=100)).n_spectral >= 1
        assert plan_race(counts, HMMOptions(200, 1000, n_iter=10, n_init=8)).n_spectral == 2

    def test_many_states_of_few_symbols_race_half_as_long(self):
        counts = self.counts(30_000, 10)
        usual, many = (plan_race(counts, HMMOptions(K, 10)) for K in (10, 11))
        assert usual.n_spectral + usual.n_random == 12
        assert (many.n_spectral, many.n_random) == (1, 5)

        def work(plan):
            return sum(one.n_starts * one.n_steps * one.n_rows for one in plan.rounds)

        assert work(many) < 0.7 * work(usual)

    def test_samples_hold_several_rows_a_parameter(self):
        plan = plan_race(self.counts(100_000, 36), HMMOptions(30, 36))
        assert min(one.n_rows for one in plan.rounds) >= 16 * 30 * (30 + 36)

    @staticmethod
    def counts(n_rows, n_symbols):
        """Counts of as many windows, of which the first symbols alone are there."""
        codes = np.arange(min(n_rows, 2**16)) % n_symbols
        few = count(Sequences(codes, [0, codes.size]), n_symbols, SerialRunner())
        return replace(few, n_rows=n_rows)


@pytest.mark.parametrize("init", INITS)
def test_starts_that_take_part_are_named(small, init):
    _, data = small
    fit = fit_hmm(data, HMMOptions(3, 6, init=init, n_init=2, n_iter=3), rng=rng_of())
    assert fit.report.winner in {init, "random"}
    assert len(fit.history) <= 3
    assert_model(fit.parameters, 3, 6)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("update", ["", "se", "st", "te"])
def test_fixed_parts_stay_to_the_last_bit(small, init, update):
    truth, data = small
    fixed = {
        name: part
        for letter, (name, part) in zip("ste", parts(truth).items(), strict=True)
        if letter not in update
    }
    options = HMMOptions(3, 6, init=init, n_init=2, n_iter=6, update=update, fixed=fixed)
    fit = fit_hmm(data, options, rng=rng_of())
    for letter, new, old in zip("ste", arrays(fit.parameters), arrays(truth), strict=True):
        same = np.array_equal(new, old)
        assert same == (letter not in update)


def test_given_parts_are_where_em_starts(small):
    truth, data = small
    fixed = parts(truth)
    fit = fit_hmm(data, HMMOptions(3, 6, fixed=fixed, n_iter=0), rng=rng_of())
    for a, b in zip(arrays(fit.parameters), arrays(truth), strict=True):
        assert_array_equal(a, b)
    options = HMMOptions(3, 6, fixed=fixed, n_iter=1, emission_prior=1.0)
    one = fit_hmm(data, options, rng=rng_of())
    assert_allclose(one.history, [expect_exact(truth, data).log_likelihood], rtol=1e-12)
    assert not one.converged


def test_priors_pull(small):
    _, data = small
    flat = HMMOptions(2, 6, init="random", n_iter=3, transmat_prior=1e7, emission_prior=1e7)
    fit = fit_hmm(data, flat, rng=rng_of())
    assert_allclose(fit.parameters.transmat, 0.5, atol=1e-3)
    assert_allclose(fit.parameters.emission.probs, 1 / 6, atol=1e-3)


def test_default_prior_is_one_pseudo_count_by_frequency():
    frequency = np.array([10, 1, 5]) / 16
    priors = HMMOptions(2, 3).priors(frequency)
    assert isinstance(priors, Priors)
    assert_allclose(priors.emission, frequency)
    assert_allclose([priors.start, priors.trans], 0)
    given = HMMOptions(2, 3, emission_prior=[1.0, 2.0, 3.0]).priors(frequency)
    assert_allclose(given.emission, [0, 1, 2])


@pytest.mark.parametrize("init", INITS)
def test_unseen_symbols_are_smoothed(small, init):
    _, data = small
    fit = fit_hmm(data, HMMOptions(3, 9, init=init, n_init=2, n_iter=5), rng=rng_of())
    assert (fit.parameters.emission.probs[:, 6:] > 0).all()
    assert fit.parameters.emission.probs[:, 6:].sum() < 0.01


def test_steps_are_told(small):
    _, data = small
    told = []
    fit = fit_hmm(
        data, HMMOptions(3, 6, n_init=4, n_iter=9), rng=rng_of(), on_step=lambda *x: told.append(x)
    )
    stages = [stage for stage, _, _ in told]
    assert stages[0] == "distinct windows"
    assert any(stage.startswith("windows") for stage in stages)
    assert any(stage.startswith("race") for stage in stages)
    assert [value for stage, _, value in told if stage == "EM"] == fit.history


def test_best_of_random_restarts(small):
    _, data = small
    options = partial(HMMOptions, 3, 6, init="random", n_iter=40)
    fit = fit_hmm(data, options(n_init=4), rng=rng_of(2))
    likelihoods = [start.likelihood for start in fit.report.starts]
    assert len(likelihoods) == 4
    assert likelihoods[0] == max(likelihoods) == fit.history[-1]


# labels


def labelled(truth, n, share, rng):
    codes, states = (x[0] for x in sample_hmm(truth, n, rng))
    labels = np.where(rng.random(n) < share, states, -1)
    return codes, states, Sequences.from_lengths(encode(codes, 6, -1, labels, 3))


def test_full_labels_are_counted(small):
    truth, _ = small
    codes, states, data = labelled(truth, 1000, 1.0, rng_of(1))
    options = HMMOptions(3, 6, labelled=True, emission_prior=1.0)
    fit = fit_hmm(data, options, rng=rng_of())
    trans, emit = np.zeros((3, 3)), np.zeros((3, 6))
    np.add.at(trans, (states[:-1], states[1:]), 1)
    np.add.at(emit, (states, codes), 1)
    assert_allclose(fit.parameters.transmat, trans / trans.sum(axis=1, keepdims=True), atol=1e-10)
    assert_allclose(
        fit.parameters.emission.probs, emit / emit.sum(axis=1, keepdims=True), atol=1e-10
    )
    assert_allclose(fit.parameters.startprob, np.eye(3)[states[0]], atol=1e-10)


@pytest.mark.parametrize("n", [3000, EXACT_ROWS + 1000])
def test_a_few_labels_name_the_states(small, n):
    truth, _ = small
    _, _, data = labelled(truth, n, 0.1, rng_of(4))
    fit = fit_hmm(data, HMMOptions(3, 6, labelled=True), rng=rng_of())
    # no matching: state k is the one that was labelled k
    assert np.abs(fit.parameters.emission.probs - truth.emission.probs).sum(axis=1).mean() < 0.15
    assert np.abs(fit.parameters.transmat - truth.transmat).sum(axis=1).mean() < 0.2
    assert fit.report.winner == "labels"
    assert (np.diff(fit.history) >= 0).all()


# little data, bad conditions


def test_too_many_components_for_the_features_start_at_random():
    data = Sequences.from_lengths(rng_of().integers(0, 2, 60).astype(np.int32))
    with pytest.warns(RankWarning, match="n_components=12 needs as many features"):
        fit = fit_hmm(data, HMMOptions(12, 2, n_init=4, n_iter=3), rng=rng_of())
    assert_model(fit.parameters, 12, 2)
    assert {start.kind for start in fit.report.starts} == {"random"}


def test_moments_that_barely_carry_the_components_warn():
    """Two states in turn make everything else linear in one direction."""
    data = Sequences.from_lengths(np.tile(np.array([0, 1], dtype=np.int32), 400))
    with pytest.warns(RankWarning, match=r"barely carry n_components=3: sigma_K = .* of sigma_1"):
        fit = fit_hmm(data, HMMOptions(3, 2, n_init=4, n_iter=5), rng=rng_of())
    assert_model(fit.parameters, 3, 2)
    assert fit.report.sigma_ratio < 1e-3


def test_good_conditions_do_not_warn(small):
    _, data = small
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_hmm(data, HMMOptions(3, 6, n_init=4, n_iter=2), rng=rng_of())


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_starts_are_possible_under_the_prior(small, init, alpha):
    """A probability of zero in a start is for ever, and has no density under a prior above 1."""
    for data in (small[1], Sequences.from_lengths(np.array([2, 2, 0, 2, 3, 2], dtype=np.int32))):
        options = HMMOptions(4, 8, init=init, n_init=1, n_iter=2, transmat_prior=alpha)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RankWarning)
            fit = fit_hmm(data, options, rng=rng_of())
        assert np.isfinite(fit.history).all()
        assert (fit.parameters.transmat > 0).all()


def test_one_state_has_the_frequencies(small):
    _, data = small
    fit = fit_hmm(data, HMMOptions(1, 6, emission_prior=1.0), rng=rng_of())
    frequency = np.bincount(data.values, minlength=6) / 3000
    assert_allclose(fit.parameters.emission.probs[0], frequency, atol=1e-12)
    assert fit.converged


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1), st.sampled_from(INITS), st.sampled_from([0, 1, 4]))
def test_hardly_any_data(seed, init, n_iter):
    """Whatever the data: a model that can emit them, steps that do not fall, no odd warning."""
    rng = rng_of(seed)
    n_symbols, n_components = (int(rng.integers(1, high)) for high in (5, 6))
    lengths = rng.integers(1, rng.choice([4, 12, 40]), rng.integers(1, 4))
    values = rng.integers(0, n_symbols + 1, lengths.sum())  # some are missing
    n_components = min(n_components, max(int((values < n_symbols).sum()), 1))
    values[0] = 0
    options = HMMOptions(
        n_components,
        n_symbols,
        init=init,
        n_init=int(rng.integers(1, 4)),
        n_iter=n_iter,
        transmat_prior=rng.choice([1.0, 2.0]),
        emission_prior=rng.choice([None, 1.0, 2.0]),
        dtype=rng.choice([np.float32, np.float64]),
    )
    data = Sequences.from_lengths(values.astype(np.int32), lengths)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", RankWarning)
        fit = fit_hmm(data, options, rng=rng)
        alone = fit_counts(count(data, n_symbols, SerialRunner()), options, rng=rng)
    assert_model(fit.parameters, n_components, n_symbols)
    assert_model(alone.parameters, n_components, n_symbols)
    assert np.isfinite(fit.history[1:]).all()
    assert (np.diff(fit.history[1:]) >= 0).all()
    assert np.isfinite(expect_exact(fit.parameters, data).log_likelihood)


# what was once wrong


def test_sequences_begin_where_they_begin_without_a_walk(rng):
    """Starts are not the stationary distribution: every sequence begins in the first state."""
    truth = HMMParameters.categorical(
        [1.0, 0, 0], [[0.2, 0.8, 0], [0, 0.7, 0.3], [0.3, 0, 0.7]], PEAKED
    )
    data = Sequences.from_lengths(sample_hmm(truth, 20, rng, 500)[0].ravel(), [20] * 500)
    counts = count(data, 6, SerialRunner())
    known = replace(truth, startprob=np.full(3, 1 / 3))
    assert fit_startprob(known, counts)[0] > 0.97
    fit = fit_counts(counts, HMMOptions(3, 6), rng=rng_of()).parameters
    # Of the state that symbols 0 and 1 tell; 0.15 of any position are in it.
    assert fit.startprob[fit.emission.probs[:, :2].sum(axis=1).argmax()] > 0.8
    unrefined = fit_hmm(data, HMMOptions(3, 6, n_iter=0), rng=rng_of()).parameters
    assert unrefined.startprob.max() > 0.95


PEAKED = np.array([[5, 5, 1, 1, 1, 1], [1, 1, 5, 5, 1, 1], [1, 1, 1, 1, 5, 5]]) / 14


def test_one_state_has_the_frequencies_even_without_a_step(small):
    _, data = small
    fit = fit_hmm(data, HMMOptions(1, 6, n_iter=0), rng=rng_of())
    counts = count(data, 6, SerialRunner())
    assert_allclose(fit.parameters.emission.probs[0], counts.frequency)


def test_priors_below_one_go_on_past_a_zero(small):
    _, data = small
    fit = fit_hmm(data, HMMOptions(3, 6, transmat_prior=0.5, n_init=4), rng=rng_of())
    assert np.isfinite(fit.history).all()
    assert (np.diff(fit.history) >= 0).all()


def test_very_unlikely_is_not_impossible_in_single_precision(rng):
    emission = CategoricalEmission(np.tile([1e-60, 1 - 1e-60], (2, 1)))
    fixed = {"startprob": [0.5, 0.5], "transmat": np.full((2, 2), 0.5), "emission": emission}
    codes = (rng.random(6000) < 0.9).astype(np.int32)
    options = HMMOptions(2, 2, fixed=fixed, n_iter=3, emission_prior=1.0)
    fit = fit_hmm(Sequences.from_lengths(codes, [100] * 60), options, rng=rng_of())
    assert np.isfinite(fit.history).all()
    assert fit.report.exact


def test_all_starts_are_noted(small):
    _, data = small
    starts = fit_hmm(data, HMMOptions(3, 6), rng=rng_of()).report.starts
    assert len(starts) == 10
    assert [np.isfinite(start.composite) for start in starts] == [
        start.kind not in LASTING for start in starts
    ]
    assert np.isfinite([start.likelihood for start in starts]).all()


def test_more_states_than_observations_in_a_stream():
    stream = SequenceStream([np.zeros(3, np.int32)])
    options = HMMOptions(4, 2, init="random")
    with pytest.warns(RankWarning, match="n_components=4 states are more than the 3 observations"):
        assert np.isfinite(fit_hmm(stream, options, rng=rng_of()).history).all()


def test_kept_emissions_leave_no_transition_at_zero(rng):
    """EM cannot leave a zero: what the convex fit of the bigrams puts there must not stay."""
    cycle = [[0.1, 0.9, 0], [0, 0.1, 0.9], [0.9, 0, 0.1]]
    truth = HMMParameters.categorical([1.0, 0, 0], cycle, np.kron(np.eye(3), [0.5, 0.5]))
    data = Sequences.from_lengths(sample_hmm(truth, 2000, rng)[0].ravel())
    fixed = {"emission": truth.emission}
    fit = fit_hmm(data, HMMOptions(3, 6, fixed=fixed, n_iter=0), rng=rng_of())
    assert (fit.parameters.transmat > 1e-6).all()
    assert_allclose(fit.parameters.transmat, cycle, atol=0.05)
