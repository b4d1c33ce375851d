"""The default policy is fitted by the processes of a cluster as by this one."""

import numpy as np
import pytest

from bandit import ThompsonSampling
from bandit.cluster import open_runner


@pytest.mark.slow
def test_a_local_cluster_fits_the_default_policy_to_the_same_bits(dataset):
    """The sums come in the order of the parts, whichever process made them: the states are equal."""
    here, there, other = (ThompsonSampling(dataset.catalogue) for _ in range(3))
    here.fit(dataset)
    with open_runner("local:2", dataset) as runner:
        there.fit(dataset, runner=runner)
    assert here.dumps() == there.dumps()
    other.fit(dataset.parts[0].open())
    mean = here.online.belief.main.model.weights.mean
    fewer = other.online.belief.main.model.weights.mean
    assert mean.shape != fewer.shape or not np.allclose(mean, fewer)
