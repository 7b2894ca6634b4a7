"""Whole fits of networks: starts, race, evidence, repair, what is said out loud, directions."""

import dataclasses
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import subspace_angles
from sklearn.exceptions import ConvergenceWarning

from spectral_nn.data.rows import Rows
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.metrics import direction_angles
from spectral_nn.models.network import features
from spectral_nn.models.network import repair as network_repair
from spectral_nn.models.network import starts as network_starts
from spectral_nn.models.network.dense import Network, flatten, random_network, unflatten
from spectral_nn.models.network.early_stopping import hold_out
from spectral_nn.models.network.evidence import gather, rows_needed
from spectral_nn.models.network.fit import NetworkOptions, fit_table, start_table
from spectral_nn.models.network.objective import Objective
from spectral_nn.models.network.repair import repair, residual_signal
from spectral_nn.models.network.report import NetworkReport
from spectral_nn.models.network.starts import check_identifiable, in_doubt
from spectral_nn.moments.scores import GaussianScore
from spectral_nn.results import RecoveryWarning
from spectral_nn.runners.base import SerialRunner, runner
from spectral_nn.trainers import TRAINERS, lbfgs

RUN = SerialRunner()


def planted(seed, d, k, n, *, noise=0.05, inputs="gaussian", **options):
    """Rows and targets (n, q) of a planted network, and the network."""
    rng = np.random.default_rng(seed)
    teacher = planted_network(d, k, rng=rng, **options)
    X, y = sample_network(teacher, n, noise=noise, rng=rng, inputs=inputs)
    return X, y.reshape(n, -1), teacher


def options_of(k, *, trainer="lbfgs", **options):
    """Options of a fit, and among them settings of its trainer."""
    kind = TRAINERS[trainer]
    names = {setting.name for setting in dataclasses.fields(kind)} & set(options)
    settings = {name: options.pop(name) for name in names}
    widths = k if k == "auto" else (k,)
    return NetworkOptions(widths, trainer=kind(**settings), **options)


def fit_network(X, Y, options, *, sample_weight=None, n_jobs=None, **how):
    with runner(n_jobs) as run:
        return fit_table(Rows.of(X, Y, sample_weight), options, run=run, **how)


def fit(X, Y, k, *, seed=0, on_step=None, sample_weight=None, n_jobs=None, **options):
    return fit_network(
        X,
        Y,
        options_of(k, **options),
        sample_weight=sample_weight,
        rng=np.random.default_rng(seed),
        n_jobs=n_jobs,
        on_step=on_step,
    )


def directions(X, Y, k, *, sample_weight=None, **options):
    return features.directions(Rows.of(X, Y, sample_weight), k, run=RUN, **options)


def doubts(*args, **options):
    """A fit, and what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fit(*args, **options)
    return found, [(one.category, str(one.message)) for one in caught]


def quietly(*args, **options):
    return doubts(*args, **options)[0]


def r2(network, teacher, inputs="gaussian"):
    """Of new rows without noise."""
    rng = np.random.default_rng(999)
    X, y = sample_network(teacher, 5000, noise=0.0, rng=rng, inputs=inputs)
    y = y.reshape(5000, -1)
    return 1 - ((network.predict(X) - y) ** 2).mean() / y.var(axis=0).mean()


def r2_between(one, other, X):
    """Of one fit's predictions by those of another."""
    y = other.network.predict(X)
    return 1 - ((one.network.predict(X) - y) ** 2).mean() / y.var(axis=0).mean()


def worst_angle(network, teacher):
    return direction_angles(network.coefs[0], teacher.coefs[0]).max()


def full(network):
    """Parameters, to compare."""
    return np.concatenate([part.ravel() for part in (*network.coefs, *network.intercepts)])


def mended(network, rows, alpha, budget, rng, told):
    """Repair, with what it tells."""
    return repair(
        network,
        rows,
        alpha,
        budget=budget,
        rng=rng,
        run=RUN,
        on_step=lambda *step: told.append(step),
    )


class TestRecovery:
    @pytest.mark.parametrize(
        ("d", "k", "kind", "seed"), [(20, 10, "orthonormal", 0), (15, 5, "mixed", 0)]
    )
    def test_a_planted_relu_is_found_where_backprop_fails(self, d, k, kind, seed):
        X, Y, teacher = planted(seed, d, k, 16_000, kind=kind)
        found = fit(X, Y, k, seed=seed)
        assert found.init == "tensor"
        assert r2(found.network, teacher) > 0.999
        assert worst_angle(found.network, teacher) < 2
        lost = fit(X, Y, k, seed=seed, init="random")
        assert r2(lost.network, teacher) < 0.998
        assert worst_angle(lost.network, teacher) > 10
        assert found.loss < 0.8 * lost.loss

    def test_biases_and_second_layer_are_found_as_well(self):
        X, Y, teacher = planted(0, 10, 4, 20_000)
        found = fit(X, Y, 4).network
        cosines = teacher.coefs[0].T @ found.coefs[0] / np.linalg.norm(found.coefs[0], axis=0)
        order = np.abs(cosines).argmax(axis=1)
        norm = np.linalg.norm(found.coefs[0], axis=0)[order]
        assert (cosines[np.arange(4), order] > 0.999).all()  # signs, too
        assert_allclose(found.intercepts[0][order] / norm, teacher.intercepts[0], atol=0.05)
        assert_allclose(found.coefs[1][order, 0] * norm, teacher.coefs[1][:, 0], atol=0.05)

    @pytest.mark.parametrize("activation", ["tanh", "softplus", "logistic", "erf", "squared_relu"])
    def test_other_activations_fit(self, activation):
        X, Y, teacher = planted(0, 8, 3, 12_000, activation=activation)
        found = quietly(X, Y, 3, activation=activation)
        assert r2(found.network, teacher) > 0.998

    @pytest.mark.parametrize("kind", ["orthonormal", "positive"])
    def test_other_second_layers(self, kind):
        X, Y, teacher = planted(1, 12, 5, 15_000, kind=kind)
        found = fit(X, Y, 5)
        assert found.init == "tensor"
        assert r2(found.network, teacher) > 0.999

    @pytest.mark.parametrize("inputs", ["uniform", "mixture", "correlated"])
    def test_inputs_that_are_not_white(self, inputs):
        X, Y, teacher = planted(0, 10, 4, 15_000, inputs=inputs)
        found = quietly(X * 3 + 10, Y, 4)
        moved = Network(
            (found.network.coefs[0] * 3, found.network.coefs[1]),
            (found.network.intercepts[0] + 10 * found.network.coefs[0].sum(axis=0),
             found.network.intercepts[1]),
            "relu",
            "identity",
        )  # fmt: skip
        assert r2(moved, teacher, inputs) > 0.999

    def test_many_outputs_help(self):
        means = []
        for q in (1, 10):
            angles = []
            for seed in range(3):
                X, Y, teacher = planted(seed, 20, 8, 3000, n_outputs=q)
                found = quietly(X, Y, 8, seed=seed, max_iter=0).network
                angles.append(direction_angles(found.coefs[0], teacher.coefs[0]).mean())
            means.append(np.mean(angles))
        assert means[1] < 0.6 * means[0]
        assert means[1] < 12

    def test_too_many_units_do_no_harm(self):
        X, Y, teacher = planted(0, 12, 4, 15_000)
        found = quietly(X, Y, 6)
        assert r2(found.network, teacher) > 0.999
        assert worst_angle(found.network, teacher) < 4


class TestPureMoments:
    def test_no_iteration_is_moments_alone(self):
        X, Y, teacher = planted(0, 15, 5, 20_000)
        stages = []
        found = fit(X, Y, 5, max_iter=0, on_step=lambda stage, *_: stages.append(stage))
        assert (found.init, found.n_iter, found.loss_curve) == ("tensor", 0, [])
        assert 0.95 < r2(found.network, teacher) < 0.9999
        assert worst_angle(found.network, teacher) < 20
        assert [start.kind for start in found.report.starts] == ["gaussian"]
        assert found.report.race_steps == 0
        assert not any(stage.startswith(("race", "lbfgs", "repair")) for stage in stages)
        assert "moments" in stages
        value = Objective(X, Y, found.network, 1e-4).value(flatten(found.network))
        assert found.loss == pytest.approx(value, rel=1e-6)

    def test_equal_generators_give_equal_networks(self):
        X, Y, _ = planted(0, 8, 3, 4000)
        first, second = (fit(X, Y, 3, max_iter=0, seed=5) for _ in range(2))
        assert_array_equal(full(first.network), full(second.network))
        # Another generator begins decompositions elsewhere, and ends at the same place.
        other = fit(X, Y, 3, max_iter=0, seed=6)
        assert r2_between(other, first, X) > 0.999

    def test_whole_fits_are_repeatable(self):
        X, Y, _ = planted(0, 8, 3, 3000)
        first, second = (fit(X, Y, 3, seed=5, max_iter=30) for _ in range(2))
        assert_array_equal(full(first.network), full(second.network))

    def test_workers_change_no_bit(self):
        X, Y, _ = planted(0, 6, 2, 9000)
        one, two = (fit(X, Y, 2, max_iter=0, n_jobs=jobs) for jobs in (1, 2))
        assert_array_equal(full(one.network), full(two.network))

    @pytest.mark.parametrize("size", [997, 100_000])
    def test_any_chunks_give_the_same_fit(self, size, monkeypatch):
        X, Y, _ = planted(0, 6, 2, 5000)
        expected = fit(X, Y, 2, max_iter=0)
        chunks = Rows.chunks
        monkeypatch.setattr(Rows, "chunks", lambda self, n_rows=size: chunks(self, n_rows))
        found = fit(X, Y, 2, max_iter=0)
        # Up to the order of units, which hangs on the start that ends best by a hair.
        assert_allclose(found.network.predict(X), expected.network.predict(X), atol=1e-4)
        assert_allclose(
            found.report.singular_values,
            expected.report.singular_values,
            rtol=1e-10,
        )

    def test_sparse_rows_are_dense_rows(self):
        X, Y, teacher = planted(0, 6, 2, 5000)
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.3, 0.0, X)
        Y = teacher.predict(X)
        dense, other = (fit(rows, Y, 2, max_iter=0) for rows in (X, sparse.csr_array(X)))
        assert_allclose(other.network.predict(X), dense.network.predict(X), atol=1e-4)

    def test_a_weight_is_a_row_many_times(self):
        """Of two tables of two networks, one counts three times."""
        tables = [planted(seed, 6, 2, 3000) for seed in (0, 1)]
        X, Y = (np.concatenate([part[i] for part in tables]) for i in (0, 1))
        weight = np.repeat([1.0, 3.0], 3000)
        rows = np.repeat(np.arange(6000), weight.astype(int))
        found = quietly(X, Y, 2, max_iter=0, sample_weight=weight)
        expected = quietly(X[rows], Y[rows], 2, max_iter=0)
        unweighted = quietly(X, Y, 2, max_iter=0)
        assert r2_between(found, expected, X) > 0.995
        assert r2_between(unweighted, expected, X) < 0.95

    def test_rows_of_no_weight_are_no_rows(self):
        """Whatever they hold."""
        X, Y, _ = planted(0, 6, 2, 4000)
        weight = np.ones(4500)
        weight[4000:] = 0
        garbage = np.random.default_rng(0).standard_normal((500, 6)) * 50
        found = fit(
            np.vstack([X, garbage]),
            np.vstack([Y, garbage[:, :1]]),
            2,
            max_iter=0,
            sample_weight=weight,
        )
        expected = fit(X, Y, 2, max_iter=0)
        assert r2_between(found, expected, X) > 0.999

    def test_single_precision(self):
        X, Y, teacher = planted(0, 8, 3, 8000)
        double = fit(X, Y, 3, max_iter=0)
        single = fit(X.astype(np.float32), Y.astype(np.float32), 3, max_iter=0)
        assert {part.dtype for part in single.network.coefs} == {np.dtype(np.float32)}
        assert r2_between(single, double, X) > 0.999
        whole = fit(X.astype(np.float32), Y.astype(np.float32), 3)
        assert whole.network.coefs[0].dtype == np.float32
        assert r2(whole.network, teacher) > 0.999


class TestRace:
    def test_what_takes_part_is_told(self):
        X, Y, _ = planted(0, 8, 3, 6000)
        told = []
        found = fit(X, Y, 3, max_iter=20, on_step=lambda *step: told.append(step))
        kinds = [start.kind for start in found.report.starts]
        assert kinds[0] == found.report.winner == "gaussian"
        assert sorted(kinds) == ["gaussian", "random", "random"]
        losses = [start.loss for start in found.report.starts]
        assert losses[0] == min(losses)
        races = [step for step in told if step[0].startswith("race ")]
        assert sorted(stage for stage, _, _ in races) == [f"race {kind}" for kind in sorted(kinds)]
        assert all(0 < steps <= 15 for _, steps, _ in races)

    def test_a_random_start_that_wins_is_named(self, monkeypatch):
        """Random draws that happen to be the teacher."""
        X, Y, teacher = planted(0, 8, 3, 6000)
        lucky = network_starts.Start("random", teacher)
        monkeypatch.setattr(network_starts, "random_starts", lambda *_: [lucky])
        found = fit(X, Y, 3, max_iter=20)
        assert found.init == "random"
        assert found.report.winner == "random"
        assert found.report.starts[0].kind == "random"
        assert worst_angle(found.network, teacher) < 1

    def test_doubts_are_told_of_the_start_that_won(self, monkeypatch):
        """Where it is random, nothing is said of decompositions, which made nothing of the fit."""
        X, Y, teacher = planted(0, 8, 3, 300)
        lucky = network_starts.Start("random", teacher)
        monkeypatch.setattr(network_starts, "random_starts", lambda *_: [lucky])
        found, messages = doubts(X, Y, 3, max_iter=20)
        assert found.init == "random"
        ((category, message),) = messages
        assert category is RecoveryWarning
        assert message.startswith("The start is random (")
        assert "standard errors" in message
        assert "n=300 rows for d=8 and k=3 units" in message

    def test_a_hopeless_start_loses(self, monkeypatch):
        X, Y, _ = planted(0, 8, 3, 6000)
        nothing = Network(
            (np.full((8, 3), np.nan), np.ones((3, 1))), (np.zeros(3), np.zeros(1)), "relu",
            "identity",
        )  # fmt: skip
        bad = network_starts.Start("random", nothing)
        monkeypatch.setattr(network_starts, "random_starts", lambda *_: [bad])
        found = fit(X, Y, 3, max_iter=20)
        assert found.report.winner == "gaussian"
        assert np.isfinite(found.loss)

    def test_moments_of_too_few_rows_are_not_raced(self):
        """Under a twentieth of 5 d k^2 = 8640 rows."""
        X, Y, _ = planted(0, 12, 12, 440)
        few = quietly(X[:420], Y[:420], 12, max_iter=20)
        assert few.init == few.report.winner == "random"
        assert [start.kind for start in few.report.starts] == ["random"]
        assert "420 rows for d=12 and k=12 units are under 5%" in few.report.reason
        assert few.report.n_needed == 8640
        enough = quietly(X, Y, 12, max_iter=20)
        assert "gaussian" in {start.kind for start in enough.report.starts}
        alone = quietly(X[:420], Y[:420], 12, max_iter=0)
        assert alone.init == "tensor"

    def test_noise_does_not_hide_the_better_start(self):
        """Judged by what starts explain: the noise is the same for all."""
        X, Y, teacher = planted(0, 15, 5, 16_000, noise=1.0)
        found = fit(X, Y, 5)
        assert found.init == "tensor"
        assert r2(found.network, teacher) > 0.99

    @pytest.mark.parametrize(
        ("inputs", "kinds"),
        [
            ("gaussian", {"gaussian"}),
            ("uniform", {"gaussian", "cubic"}),
            ("binary", {"gaussian", "cubic"}),
            ("lognormal", {"gaussian", "cubic"}),
        ],
    )
    def test_models_of_the_inputs_are_chosen_by_their_shape(self, inputs, kinds):
        X, Y, _ = planted(0, 6, 3, 8000, inputs=inputs)
        found = quietly(X, Y, 3, max_iter=2)
        taken = {start.kind for start in found.report.starts} - {"random", "mixture"}
        assert taken == kinds

    def test_heavy_tails_see_no_mixture(self):
        X, Y, _ = planted(0, 5, 2, 8000, inputs="heavy")
        X[:, 0] **= 3
        found, said = doubts(X, Y, 2, max_iter=2)
        assert "mixture" not in {start.kind for start in found.report.starts}
        assert any("heavy tails" in message for _, message in said)

    @pytest.mark.parametrize("model", ["gaussian", "mixture", "cubic"])
    def test_a_model_of_the_inputs_may_be_asked_for(self, model):
        X, Y, teacher = planted(0, 6, 2, 8000, inputs="mixture", activation="tanh")
        found = fit(X, Y, 2, max_iter=0, input_model=model, activation="tanh")
        assert [start.kind for start in found.report.starts] == [model]
        assert r2(found.network, teacher, "mixture") > 0.9

    def test_a_score_may_be_given(self):
        X, Y, teacher = planted(0, 5, 2, 20_000, activation="tanh")
        score = GaussianScore(np.zeros(5), np.eye(5))
        found = fit(X, Y, 2, max_iter=0, input_model=score, activation="tanh")
        assert found.report.winner == "score"
        assert r2(found.network, teacher) > 0.95
        assert r2(fit(X, Y, 2, input_model=score, activation="tanh").network, teacher) > 0.999


class TestFlow:
    def test_steps_of_the_race_count(self):
        X, Y, _ = planted(0, 12, 5, 4000, noise=0.3)
        for max_iter, steps in ((31, 15), (16, 8), (1, 0)):
            found = fit(X, Y, 5, max_iter=max_iter, tol=1e-12)
            assert found.report.race_steps == steps
            assert found.n_iter == max_iter - steps

    def test_a_given_start_is_refined_and_no_more(self):
        X, Y, teacher = planted(0, 8, 3, 500)
        found = fit_network(X, Y, NetworkOptions((3,)), rng=np.random.default_rng(0), start=teacher)
        assert found.init == "given"
        assert found.report.winner == "given"
        assert not found.report.starts
        assert worst_angle(found.network, teacher) < 4

    def test_starts_are_those_of_the_fit(self):
        X, Y, _ = planted(0, 8, 3, 3000)
        options = options_of(3, max_iter=0)
        rows = Rows.of(X, Y)
        network, name, report = start_table(rows, options, run=RUN, rng=np.random.default_rng(4))
        assert name == "tensor"
        found = fit_network(X, Y, options, rng=np.random.default_rng(4))
        assert_array_equal(full(network), full(found.network))
        assert report.n_supported == found.report.n_supported

    def test_validation_rows_are_kept_from_the_moments(self):
        """Held out, whatever they say: garbage there does not move the start."""
        X, Y, _ = planted(0, 6, 2, 3000)
        options = {"max_iter": 0, "early_stopping": True, "validation_fraction": 0.3}
        _, held_out = hold_out(Y, options_of(2, **options), np.random.default_rng(0))
        other = Y.copy()
        other[held_out] = 1e3
        first, second = fit(X, Y, 2, **options), fit(X, other, 2, **options)
        assert_array_equal(full(first.network), full(second.network))

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_early_stopping_and_adam_follow_moments(self, early_stopping):
        X, Y, teacher = planted(0, 8, 3, 6000)
        found = fit(X, Y, 3, early_stopping=True)
        assert r2(found.network, teacher) > 0.999
        assert len(found.validation_scores) == found.n_iter
        options = {"trainer": "adam", "max_iter": 10, "early_stopping": early_stopping}
        found = fit(X, Y, 3, **options)
        assert found.init == "tensor"
        assert r2(found.network, teacher) > 0.995

    def chances(self, seed):
        """Rows, labels by the toss of a coin, the coin's chances, and the network behind them."""
        rng = np.random.default_rng(seed)
        X, _, teacher = planted(seed, 8, 3, 20_000)
        odds = teacher.decision(X)
        chance = 1 / (1 + np.exp(-3 * (odds - odds.mean())))
        return X, (rng.random((20_000, 1)) < chance).astype(float), chance, teacher

    def test_logistic_outputs(self):
        X, Y, chance, teacher = self.chances(3)
        start = fit(X, Y, 3, max_iter=0, output="logistic")
        assert start.network.output == "logistic"
        assert np.abs(start.network.predict(X) - chance).mean() < 0.1
        found = fit(X, Y, 3, output="logistic")
        assert found.init == "tensor"
        assert np.abs(found.network.predict(X) - chance).mean() < 0.03
        assert worst_angle(found.network, teacher) < 8
        assert found.loss < start.loss

    def test_softmax_outputs(self):
        rng = np.random.default_rng(0)
        X, scores, _ = planted(1, 8, 3, 15_000, n_outputs=3)
        scores = 2 * (scores - scores.mean(axis=0))
        chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        labels = (chances.cumsum(axis=1) > rng.random((15_000, 1))).argmax(axis=1)
        Y = np.eye(3)[labels]
        start = quietly(X, Y, 3, max_iter=0, output="softmax")
        assert_allclose(start.network.predict(X).sum(axis=1), 1)
        assert np.abs(start.network.predict(X) - chances).mean() < 0.1
        found = quietly(X, Y, 3, output="softmax")
        assert np.abs(found.network.predict(X) - chances).mean() < 0.05
        assert found.init in ("tensor", "random")

    def test_the_textbook_runs_on_its_home_ground(self):
        X, Y, teacher = planted(0, 8, 3, 30_000, kind="positive", activation="tanh", noise=0.02)
        found = fit(X, Y, 3, init="nn-lift", activation="tanh", max_iter=0)
        assert found.init == "nn-lift"
        assert not found.report.starts
        assert found.report.winner == "nn-lift"
        for fact in ("whitening", "n_needed", "singular_values"):
            assert getattr(found.report, fact) is not None
        assert r2(found.network, teacher) > 0.9
        refined = fit(X, Y, 3, init="nn-lift", activation="tanh", max_iter=50)
        assert refined.init == "nn-lift"
        assert not refined.report.repair
        assert refined.loss < found.loss


class TestEvidence:
    @pytest.mark.parametrize("k", [2, 4])
    def test_the_width_is_found(self, k):
        for seed in range(2):
            X, Y, _ = planted(seed, 12, k, 30_000, kind="orthonormal")
            found = fit(X, Y, "auto", max_iter=5)
            assert found.network.sizes == (12, k, 1)
            assert found.report.n_supported == k

    def test_noise_supports_nothing(self):
        for seed in range(4):
            rng = np.random.default_rng(seed)
            rows = Rows.of(rng.standard_normal((4000, 10)), rng.standard_normal((4000, 1)))
            assert gather(rows, 4, rng, RUN).n_supported <= 1
            assert gather(rows, None, rng, RUN).n_units == 2  # at the least

    def test_figures(self):
        X, Y, _ = planted(0, 12, 3, 5000)
        weight = np.random.default_rng(0).uniform(0, 2, 5000)
        evidence = gather(Rows.of(X, Y, weight), 3, np.random.default_rng(0), RUN)
        report = evidence.report()
        assert report.n_effective == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
        assert report.n_needed == rows_needed(12, 3) == 5 * 12 * 9
        assert report.n_dimensions == 3
        assert report.singular_values.shape == (12,)
        assert evidence.enough
        assert (evidence.heavy, evidence.discrete, evidence.shaped) == (0, 0, 0)

    def test_shapes_of_columns_are_counted(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((5000, 6))
        X[:, 1] = rng.uniform(-1, 1, 5000)
        X[:, 2] = rng.choice([-1.0, 1.0], 5000)
        X[:, 4] = rng.standard_t(2, 5000)
        evidence = gather(Rows.of(X, X[:, :1] ** 3), 2, rng, RUN)
        assert (evidence.heavy, evidence.discrete, evidence.shaped) == (1, 1, 3)

    def test_nothing_varies(self):
        rows = Rows.of(np.ones((50, 3)), np.arange(50.0)[:, None])
        with pytest.raises(ValueError, match="X has no column that varies"):
            gather(rows, 2, np.random.default_rng(0), RUN)

    def test_doubt(self):
        sure = NetworkReport(n_effective=1000.0, n_needed=500, cp_agreement=1.0)
        assert not in_doubt(sure)
        assert in_doubt(replace(sure, n_effective=400.0))
        assert in_doubt(replace(sure, cp_agreement=0.1))
        assert not in_doubt(NetworkReport())


class TestSaidOutLoud:
    """The conditions under which no recovery is to be expected."""

    def said(self, X, Y, k, **options):
        found, messages = doubts(X, Y, k, **({"max_iter": 3} | options))
        assert np.isfinite(found.loss)
        assert (found.report.winner == "random") == (found.init == "random")
        return messages

    def recovery(self, messages):
        """The one warning, of everything at once."""
        (message,) = [text for category, text in messages if category is RecoveryWarning]
        return message

    def test_nothing_where_all_is_well(self):
        X, Y, _ = planted(0, 8, 3, 6000)
        assert self.said(X, Y, 3) == []

    def test_too_few_rows(self):
        X, Y, _ = planted(0, 8, 3, 200)
        message = self.recovery(self.said(X, Y, 3))
        assert "n=200 rows for d=8 and k=3" in message
        assert "5 d k^2 = 360" in message

    def test_few_effective_rows(self):
        """Weights count, not the table's length."""
        X, Y, _ = planted(0, 8, 3, 5000)
        weight = np.where(np.arange(5000) < 100, 1.0, 1e-6)
        assert "n=100 rows" in self.recovery(self.said(X, Y, 3, sample_weight=weight))

    @pytest.mark.parametrize(("activation", "degree"), [("square", 2), ("identity", 1)])
    def test_polynomials_start_at_random(self, activation, degree):
        X, Y, _ = planted(0, 8, 3, 500)
        said = f"'{activation}'.* degree {degree}.*span"
        with pytest.warns(RecoveryWarning, match=f"The start is random: .*{said}"):
            found = fit(X, Y, 3, activation=activation, max_iter=2)
        chance = fit(X, Y, 3, activation=activation, init="random", max_iter=2)
        assert found.init == chance.init == "random"
        assert_array_equal(flatten(found.network), flatten(chance.network))
        with pytest.raises(ValueError, match=said):
            fit(X, Y, 3, activation=activation, init="nn-lift")

    @pytest.mark.parametrize("activation", ["relu", "squared_relu", "tanh", "softplus"])
    def test_other_activations_are_not(self, activation):
        check_identifiable((3,), activation)

    def test_decompositions_that_disagree(self):
        rng = np.random.default_rng(0)
        messages = self.said(rng.standard_normal((6000, 9)), rng.standard_normal((6000, 1)), 9)
        (message,) = [text for category, text in messages if category is ConvergenceWarning]
        assert "% of its starts agree" in message

    def test_directions_that_nearly_coincide(self):
        X, Y, _ = planted(0, 4, 3, 8000)
        messages = self.said(X, Y, 6)
        assert any(
            category is ConvergenceWarning and "condition number" in text
            for category, text in messages
        )
        assert "k=6 units in 4 dimensions" in self.recovery(messages)

    def test_heavy_tails(self):
        X, Y, _ = planted(0, 6, 2, 5000)
        X[:, 3] = np.random.default_rng(0).standard_t(2, 5000)
        message = self.recovery(self.said(X, Y, 2))
        assert "1 columns of X have heavy tails" in message
        assert "kurtosis" in message
        assert "no model of the inputs is reliable" in message

    def test_binary_columns(self):
        X, _, teacher = planted(0, 6, 2, 5000)
        X[:, 2:4] = np.sign(X[:, 2:4])
        found, messages = doubts(X, teacher.predict(X), 2, max_iter=3)
        assert "2 columns of X hold few values" in self.recovery(messages)
        assert "cubic" in {start.kind for start in found.report.starts}

    def test_constant_columns(self):
        X, Y, _ = planted(0, 6, 2, 5000)
        wide = np.insert(X, [2, 4], [7.0, -1e6], axis=1)
        found, messages = doubts(wide, Y, 2, max_iter=0)
        ((_, message),) = messages
        assert "2 constant columns of X (2, 5)" in message
        assert (found.network.coefs[0][[2, 5]] == 0).all()
        expected = fit(X, Y, 2, max_iter=0)
        assert_allclose(found.network.predict(wide), expected.network.predict(X), atol=1e-3)

    def test_a_singular_covariance(self):
        X, Y, _ = planted(0, 6, 2, 5000)
        messages = self.said(np.hstack([X, X[:, :2] * 3 + 1]), Y, 2)
        assert "covariance of X is singular: 2 of 8 directions" in self.recovery(messages)

    def test_more_columns_than_rows(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((30, 50))
        Y = np.maximum(X[:, :1], 0)
        message = self.recovery(self.said(X, Y, 3))
        assert "The start is random: n=30 rows for d=29 and k=3 units are under 5%" in message
        message = self.recovery(doubts(X, Y, 3, max_iter=0)[1])
        assert "singular" in message
        assert "n=30 rows" in message

    def test_a_constant_target(self):
        X, _, _ = planted(0, 6, 2, 2000)
        for max_iter in (0, 20):
            found = quietly(X, np.full((2000, 1), 3.0), 2, max_iter=max_iter)
            assert_allclose(found.network.predict(X), 3, atol=0.1)

    def test_a_linear_target(self):
        """No unit bends: moments have nothing to say, and nothing breaks."""
        X, _, _ = planted(0, 6, 2, 3000)
        Y = X[:, :1] - 2 * X[:, 1:2]
        found = quietly(X, Y, 3, max_iter=100)
        assert ((found.network.predict(X) - Y) ** 2).mean() < 0.1


class TestRepair:
    def test_half_recovered_networks_are_raised(self):
        """Three units of five are right; L-BFGS alone does not find the others, mostly."""
        scores = {"alone": [], "repaired": []}
        for seed in range(4):
            X, Y, teacher = planted(seed, 40, 5, 700)
            rng = np.random.default_rng(seed)
            W, a = teacher.coefs[0].copy(), teacher.coefs[1].copy()
            W[:, 3:] = rng.standard_normal((40, 2)) / np.sqrt(40)
            a[3:] = rng.standard_normal((2, 1))
            half = Network((W, a), teacher.intercepts, "relu", "identity")
            objective = Objective(X, Y, half, 1e-4)
            for name, steps in (("alone", 500), ("repaired", 40)):
                found = lbfgs.lbfgs(objective, flatten(half), max_iter=steps, tol=1e-7)
                network = unflatten(found.x, half)
                if name == "repaired":
                    network = mended(network, Rows.of(X, Y), 1e-4, 400, rng, []).network
                scores[name].append(r2(network, teacher) > 0.998)
        assert sum(scores["repaired"]) >= 3
        assert sum(scores["alone"]) <= 2

    def test_a_fit_in_doubt_is_repaired(self, monkeypatch):
        """Rows far too few for moments; where residuals are taken to carry a signal."""
        monkeypatch.setattr(network_repair, "residual_signal", lambda *_: 2.0)
        scores = {True: [], False: []}
        for doubt in (True, False):
            if not doubt:
                monkeypatch.setattr(network_repair, "in_doubt", lambda report: False)
            for seed in range(4):
                X, Y, teacher = planted(seed, 40, 5, 800)
                found = quietly(X, Y, 5, seed=seed, max_iter=500)
                assert bool(found.report.repair) == doubt
                scores[doubt].append(r2(found.network, teacher))
        assert (np.array(scores[True]) > 0.998).sum() >= 3
        assert np.mean(scores[True]) > np.mean(scores[False]) + 0.005

    @pytest.mark.parametrize("activation", ["relu", "tanh"])
    @pytest.mark.parametrize("q", [1, 3])
    def test_the_loss_never_rises(self, activation, q):
        X, Y, teacher = planted(0, 6, 3, 300, activation=activation, n_outputs=q)
        rows, rng = Rows.of(X, Y), np.random.default_rng(0)
        for network in (
            teacher,
            random_network((6, 3, q), activation, "identity", rng),
            random_network((6, 5, q), activation, "identity", rng),
        ):
            before = Objective(X, Y, network, 1e-2).value(flatten(network))
            told = []
            done = mended(network, rows, 1e-2, 150, rng, told)
            after = Objective(X, Y, done.network, 1e-2).value(flatten(done.network))
            assert after <= before * (1 + 1e-9)
            assert done.network.sizes == network.sizes
            assert [step[:2] for step in told] == [
                ("repair", i + 1) for i in range(len(done.rounds))
            ]
            assert done.rounds[0].units == "moments"
            assert done.n_iter > 0

    def test_a_round_that_ends_worse_is_undone(self, monkeypatch):
        X, Y, teacher = planted(0, 6, 3, 300)
        bad = random_network((6, 3, 1), "relu", "identity", np.random.default_rng(0))
        worse = Objective(X, Y, bad, 0.0).value(flatten(bad))
        monkeypatch.setattr(network_repair, "_prune", lambda *_: (bad, worse, 10))
        monkeypatch.setattr(network_repair, "residual_signal", lambda *_: 2.0)
        done = mended(teacher, Rows.of(X, Y), 0.0, 1000, np.random.default_rng(0), [])
        assert done.network is teacher
        # Rounds of moments, then of random units, and no more after these.
        sources = [one.units for one in done.rounds]
        assert sources[0] == "moments"
        assert sources[-1] == "random"
        assert sources.count("random") == 1

    def test_a_budget_of_nothing_does_nothing(self):
        X, Y, teacher = planted(0, 6, 3, 300)
        done = mended(teacher, Rows.of(X, Y), 0.0, 0, np.random.default_rng(0), [])
        assert done.network is teacher
        assert (done.n_iter, done.rounds) == (0, ())

    def test_a_unit_that_is_missing_is_put_back(self):
        """And one that is there twice taken away for it."""
        X, Y, teacher = planted(1, 20, 4, 2000)
        W, a, b = teacher.coefs[0].copy(), teacher.coefs[1].copy(), teacher.intercepts[0].copy()
        W[:, 3], b[3] = W[:, 2], b[2]
        a[2:] = a[2] / 2
        start = Network((W, a), (b, np.zeros(1)), "relu", "identity")
        done = mended(start, Rows.of(X, Y), 0.0, 400, np.random.default_rng(0), [])
        assert worst_angle(done.network, teacher) < 4
        assert r2(done.network, teacher) > 0.998

    def test_residuals_of_the_truth_carry_no_signal(self):
        X, Y, teacher = planted(0, 15, 4, 4000)
        rows = Rows.of(X, Y)
        less = Network(
            (teacher.coefs[0][:, 1:], teacher.coefs[1][1:]),
            (teacher.intercepts[0][1:], teacher.intercepts[1]),
            "relu",
            "identity",
        )
        for seed in range(3):
            rng = np.random.default_rng(seed)
            assert residual_signal(teacher, rows, rng, RUN) < 1.15
            assert residual_signal(less, rows, rng, RUN) > 2

    @pytest.mark.parametrize("limit", ["max_iter", "max_fun"])
    @pytest.mark.parametrize("most", [60, 200, 400])
    def test_steps_are_no_more_than_asked_for(self, limit, most, monkeypatch):
        """But for one round, which may have begun, and the last line search."""
        monkeypatch.setattr(network_repair, "residual_signal", lambda *_: 2.0)
        taken, minimise = [], lbfgs.lbfgs

        def counted(*args, **options):
            found = minimise(*args, **options)
            on_its_own = limit == "max_fun" and "on_iterate" in options
            taken.append(found.n_evaluations if on_its_own else found.n_iter)
            return found

        monkeypatch.setattr(lbfgs, "lbfgs", counted)
        monkeypatch.setattr(network_repair, "lbfgs", counted)
        X, Y, _ = planted(0, 30, 5, 700)
        found = quietly(X, Y, 5, tol=1e-10, **({"max_iter": 1000} | {limit: most}))
        total = sum(taken)
        if limit == "max_iter":
            total += found.report.race_steps
        repaired = bool(found.report.repair)
        assert repaired == (most >= 200)
        assert total <= most + (150 if repaired else 0) + 20 * (limit == "max_fun")
        assert total > 0.5 * most

    def test_residuals_without_a_signal_need_no_repair(self, monkeypatch):
        monkeypatch.setattr(network_repair, "residual_signal", lambda *_: 0.9)
        X, Y, _ = planted(0, 30, 5, 700)
        found = quietly(X, Y, 5, max_iter=300)
        assert found.report.residual_signal == 0.9
        assert not found.report.repair

    @pytest.mark.parametrize("options", [{"trainer": "adam"}, {"output": "logistic"}])
    def test_squared_errors_and_lbfgs_only(self, options):
        X, Y, _ = planted(0, 20, 4, 400)
        if "output" in options:
            Y = np.heaviside(Y - np.median(Y), 0.0)
        found = quietly(X, Y, 4, **({"max_iter": 200, "alpha": 1.0} | options))
        assert not found.report.repair

    def test_weights_and_sparse_rows_are_repaired_too(self, monkeypatch):
        monkeypatch.setattr(network_repair, "residual_signal", lambda *_: 2.0)
        X, Y, _ = planted(0, 30, 5, 700)
        weight = np.random.default_rng(0).uniform(0.5, 1.5, 700)
        found = quietly(sparse.csr_array(X), Y, 5, max_iter=200, sample_weight=weight)
        assert found.report.repair
        single = quietly(X.astype(np.float32), Y.astype(np.float32), 5, max_iter=200)
        assert single.report.repair
        assert single.network.coefs[0].dtype == np.float32


class TestDirections:
    def test_planted_directions(self):
        X, Y, teacher = planted(0, 12, 4, 20_000)
        found = directions(X, Y, 4, rng=np.random.default_rng(0))
        assert found.components.shape == (4, 12)
        assert_allclose(np.linalg.norm(found.components, axis=1), 1)
        assert direction_angles(found.components.T, teacher.coefs[0]).max() < 10
        assert_allclose(found.mean, X.mean(axis=0), atol=1e-10)
        assert found.singular_values.shape == (12,)
        assert found.report.n_supported == 4
        assert found.report.winner == "gaussian"
        assert 0 < found.report.cp_explained <= 1

    def test_the_loudest_unit_comes_first(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((20_000, 6))
        Y = 0.3 * np.maximum(X[:, :1], 0) + np.maximum(X[:, 1:2], 0) - 3 * np.maximum(X[:, 2:3], 0)
        found = directions(X, Y + 0.01 * rng.standard_normal(Y.shape), 3, rng=rng)
        assert np.abs(found.components).argmax(axis=1).tolist() == [2, 1, 0]

    def test_directions_are_those_of_x(self):
        """Not of standardised columns: scales and places go in."""
        X, Y, teacher = planted(0, 6, 2, 10_000, inputs="correlated")
        scale = np.array([1.0, 10.0, 0.1, 1.0, 3.0, 1e4])
        found = directions(X * scale + 5, Y, 2, rng=np.random.default_rng(0))
        W = found.components.T * scale[:, None]
        assert direction_angles(W, teacher.coefs[0]).max() < 12

    @pytest.mark.parametrize("model", ["mixture", "cubic", "auto"])
    def test_models_of_the_inputs(self, model):
        X, Y, teacher = planted(1, 8, 3, 15_000, inputs="uniform", activation="tanh")
        found = directions(X, Y, 3, rng=np.random.default_rng(0), input_model=model)
        assert found.report.winner == {"auto": "gaussian"}.get(model, model)
        assert direction_angles(found.components.T, teacher.coefs[0]).max() < 20

    def test_constant_columns_have_no_part(self):
        X, Y, teacher = planted(0, 6, 2, 10_000)
        with pytest.warns(UserWarning, match=r"1 constant columns of X \(3\)"):
            found = directions(np.insert(X, 3, 2.0, axis=1), Y, 2, rng=np.random.default_rng(0))
        assert (found.components[:, 3] == 0).all()
        rest = np.delete(found.components, 3, axis=1)
        assert direction_angles(rest.T, teacher.coefs[0]).max() < 10

    def test_sparse_rows_weights_and_workers(self):
        X, Y, _ = planted(0, 6, 2, 6000)
        X = np.where(np.abs(X) < 0.2, 0.0, X)
        weight = np.random.default_rng(0).integers(0, 3, 6000).astype(float)
        one = directions(X, Y, 2, rng=np.random.default_rng(0), sample_weight=weight)
        two = directions(
            sparse.csr_array(X), Y, 2, rng=np.random.default_rng(0), sample_weight=weight
        )
        assert_allclose(np.abs(two.components), np.abs(one.components), atol=1e-4)
        rows = np.repeat(np.arange(6000), weight.astype(int))
        three = directions(X[rows], Y[rows], 2, rng=np.random.default_rng(0))
        assert direction_angles(three.components.T, one.components.T).max() < 1

    def test_classes(self):
        X, Y, teacher = planted(0, 6, 2, 20_000)
        labels = np.eye(3)[np.digitize(Y[:, 0], np.quantile(Y, [0.3, 0.6]))]
        found = directions(X, labels, 2, rng=np.random.default_rng(0))
        # Chances of classes are no sums over units: the span is what is left of them.
        angles = subspace_angles(found.components.T, teacher.coefs[0])
        assert np.degrees(angles).max() < 10


def test_repair_keeps_to_its_budget_on_sparse_rows():
    X, Y, teacher = planted(0, 40, 8, 1200)
    rng = np.random.default_rng(1)
    start = random_network((40, 8, 1), "relu", "identity", rng)
    rows = Rows.of(sparse.csr_array(X), Y)
    for budget in (100, 130, 285, 600):
        done = mended(start, rows, 1e-4, budget, np.random.default_rng(0), [])
        assert done.n_iter <= budget
    assert {one.units for one in done.rounds} >= {"moments"}
    assert r2(done.network, teacher) > r2(start, teacher)
