"""The protocol: the table, and what is missing."""

from dataclasses import fields

import pytest

from spectral_nn.trainers import TRAINERS
from spectral_nn.trainers.base import check_needs


@pytest.mark.parametrize("name", TRAINERS)
def test_what_every_trainer_has(name):
    trainer = TRAINERS[name]()
    assert trainer.name == name
    assert {"max_iter", "tol"} <= {setting.name for setting in fields(trainer)}
    check_needs(trainer, frozenset({"rows"}))
    if trainer.needs:
        with pytest.raises(ValueError, match=f"solver='{name}' takes rows one by one"):
            check_needs(trainer, frozenset())
