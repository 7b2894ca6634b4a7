"""Every learning rule behind the estimators: scikit-learn's checks, other libraries, bad input."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from spectral_estimators import MLPClassifier, MLPRegressor, trainers
from spectral_nn.trainers.rules.base import Rule
from tests.expected_failed_checks import BATCHES_DRAWN

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::spectral_nn.results.RecoveryWarning"
)
RULES = {name: getattr(trainers, name) for name in trainers.__all__}


def network(kind, rule, **more):
    how = {"hidden_layer_sizes": (12, 9), "init": "random", "learning_rate": "cosine"}
    how |= {"max_iter": 12, "learning_rate_init": 0.01, "batch_size": 16, "random_state": 0}
    return kind(solver=rule, **(how | more))


CHECKED = [  # each rule behind one of the two; frozen layers fit none of the checks' curves
    network(
        MLPRegressor if i % 2 and rule is not trainers.Frozen else MLPClassifier,
        rule(),
        hidden_layer_sizes=(8,),
        learning_rate="constant",
        learning_rate_init=0.03,
    )
    for i, rule in enumerate(RULES.values())
]


@parametrize_with_checks(CHECKED, expected_failed_checks=lambda _: BATCHES_DRAWN)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", RULES)
class TestEveryRule:
    def test_says_what_it_is(self, name):
        rule = RULES[name]()
        assert isinstance(rule, Rule)
        facts = (rule.exact, rule.unbiased, rule.uses_backward, rule.locks_layers)
        assert all(isinstance(fact, bool) for fact in facts)
        assert rule.unbiased or not rule.exact
        assert RULES[name]("sgd").optimizer == "sgd"
        with pytest.raises(ValueError, match=r"optimizer='lbfgs' takes no steps on batches"):
            RULES[name]("lbfgs")
        assert pickle.loads(pickle.dumps(rule)) == rule

    def test_learns_both_kinds_of_targets(self, name, rng):
        X = rng.standard_normal((300, 5)).astype(np.float32)
        y = np.tanh(X[:, 0]) + X[:, 1]
        numbers = network(MLPRegressor, RULES[name](), max_iter=30).fit(X, y)
        assert numbers.score(X, y) > 0.5
        assert numbers.coefs_[0].dtype == np.float32
        classes = network(MLPClassifier, RULES[name](), max_iter=30).fit(X, np.digitize(y, [-1, 1]))
        assert classes.score(X, np.digitize(y, [-1, 1])) > 0.7
        assert len(numbers.gradient_cosines_) == (0 if RULES[name]().exact else 30)

    def test_equal_seeds_give_equal_networks(self, name, rng):
        X, y = rng.standard_normal((80, 4)), rng.integers(0, 3, 80)
        one, other = (network(MLPClassifier, RULES[name]()).fit(X, y) for _ in range(2))
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
        assert clone(one).solver == one.solver

    def test_the_same_in_other_libraries(self, name, xp, rng):
        X, y = rng.standard_normal((80, 4)), rng.standard_normal(80)
        here = network(MLPRegressor, RULES[name](), max_iter=3).fit(X, y)
        there = network(MLPRegressor, RULES[name](), max_iter=3).fit(xp.asarray(X), xp.asarray(y))
        np.testing.assert_allclose(
            np.asarray(there.predict(xp.asarray(X))), here.predict(X), rtol=1e-6, atol=1e-8
        )

    def test_goes_on(self, name, rng):
        """What the rule keeps, its heads and feedback, is kept from batch to batch."""
        X, y = rng.standard_normal((64, 4)), rng.integers(0, 2, 64)
        net = network(MLPClassifier, RULES[name](), learning_rate="constant")
        net.partial_fit(X, y, classes=[0, 1])
        kept = copy.deepcopy(net._optimizer.memory)
        net.partial_fit(X, y)
        assert len(net._optimizer.memory.learned) == len(kept.learned)
        assert net._optimizer.optimizer is not None
        assert len(net.loss_curve_) == 2

    def test_goes_on_in_another_library(self, name, rng):
        """Moments of the optimiser, heads and feedback follow the batch, and its precision."""
        torch = pytest.importorskip("torch")
        X, y = rng.standard_normal((64, 4)), rng.standard_normal(64)
        net = network(MLPRegressor, RULES[name](), learning_rate="constant")
        here = clone(net).partial_fit(X, y).partial_fit(X, y)
        net.partial_fit(torch.asarray(X), torch.asarray(y)).partial_fit(X, y)
        np.testing.assert_allclose(net.predict(X), here.predict(X), rtol=1e-6, atol=1e-8)

    def test_starts_from_moments(self, name, rng):
        X = rng.standard_normal((2000, 4))
        y = np.maximum(X[:, 0] + X[:, 1], 0) - np.maximum(X[:, 2], 0)
        net = MLPRegressor(
            hidden_layer_sizes=(2,),
            solver=RULES[name](),
            learning_rate="cosine",
            learning_rate_init=1e-4,
            max_iter=2,
            random_state=0,
        ).fit(X, y)
        assert net.init_ == "tensor"
        assert net.score(X, y) > 0.98

    def test_a_loss_that_is_not_finite(self, name, rng):
        X, y = rng.standard_normal((64, 4)), rng.standard_normal(64)
        net = network(MLPRegressor, RULES[name]("sgd"), learning_rate_init=1e30)
        if name == "Frozen":
            net.set_params(learning_rate_init=1e200)
        with pytest.raises(ValueError, match=r"not finite .* a smaller learning_rate_init"):
            net.fit(X, y)
        assert not hasattr(net, "coefs_")

    def test_no_hidden_layers(self, name, rng):
        X, y = rng.standard_normal((64, 4)), rng.standard_normal(64)
        net = network(MLPRegressor, RULES[name](), hidden_layer_sizes=())
        if "hidden layers" not in RULES[name]().needs:
            assert net.fit(X, y).n_layers_ == 2
            return
        with pytest.raises(ValueError, match="is about hidden layers, and there are none"):
            net.fit(X, y)

    def test_rows_that_are_not_in_memory(self, name, rng):
        chunks = [(rng.standard_normal((32, 4)), rng.standard_normal(32)) for _ in range(2)]
        with pytest.raises(ValueError, match="takes rows one by one"):
            network(MLPRegressor, RULES[name]()).fit(chunks)


def test_a_solver_that_is_none(rng):
    with pytest.raises(ValueError, match="'solver' parameter"):
        network(MLPClassifier, "newton").fit(np.ones((4, 2)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="'solver' parameter"):
        network(MLPClassifier, trainers.Frozen).fit(np.ones((4, 2)), [0, 1, 0, 1])


def test_batches_know_no_last_epoch(rng):
    with pytest.raises(ValueError, match="partial_fit does not support learning_rate='cosine'"):
        network(MLPClassifier, trainers.Backprop()).partial_fit(
            np.eye(4), [0, 1, 0, 1], classes=[0, 1]
        )


def test_sparse_rows(rng):
    from scipy import sparse

    X = sparse.random_array((200, 30), density=0.2, rng=rng, format="csr")
    y = np.asarray(X @ rng.standard_normal(30)) > 0
    for rule in RULES.values():
        dense = network(MLPClassifier, rule(), max_iter=3).fit(X.toarray(), y)
        thin = network(MLPClassifier, rule(), max_iter=3).fit(X, y)
        np.testing.assert_allclose(thin.predict_proba(X), dense.predict_proba(X), atol=1e-6)
