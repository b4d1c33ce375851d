"""Roll-out of policies: what serves which customer, who changed it, and the mixture's probabilities."""

from bandit.rollout.control import RolloutChange, RolloutControl, RolloutStates
from bandit.rollout.state import Arm, LivePolicy, RolloutState

__all__ = ["Arm", "LivePolicy", "RolloutChange", "RolloutControl", "RolloutState", "RolloutStates"]
