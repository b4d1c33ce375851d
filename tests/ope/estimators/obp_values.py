"""The values of sb-obp on the arrays of `obp_inputs`; run by the Python of an environment that has sb-obp.

Usage, from the root of the repository: obp/bin/python -m tests.ope.estimators.obp_values answers.json
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkage,
    InverseProbabilityWeighting,
    InverseProbabilityWeightingTuning,
    MarginalizedInverseProbabilityWeighting,
    RegressionModel,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobust,
)
from sklearn.linear_model import LinearRegression

from tests.ope.estimators.obp_inputs import digest, inputs

given = inputs()
n, n_offers = given["target"].shape
parameter = {name: float(given[name]) for name in ("largest", "threshold", "shrinkage")}
log = {
    "reward": given["reward"],
    "action": given["offer"],
    "pscore": given["logging"][np.arange(n), given["offer"]],
    "position": np.zeros(n, dtype=int),
}
target = given["target"][:, :, None]
common = {**log, "action_dist": target, "estimated_rewards_by_reg_model": given["predicted"][:, :, None]}
values = {
    "ips": InverseProbabilityWeighting().estimate_policy_value(**common),
    "clipped-ips": InverseProbabilityWeighting(lambda_=parameter["largest"]).estimate_policy_value(**common),
    "snips": SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**common),
    "dm": DirectMethod().estimate_policy_value(**common),
    "dr": DoublyRobust().estimate_policy_value(**common),
    "sndr": SelfNormalizedDoublyRobust().estimate_policy_value(**common),
    "switch-dr": SwitchDoublyRobust(lambda_=parameter["threshold"]).estimate_policy_value(**common),
    "dr-os": DoublyRobustWithShrinkage(lambda_=parameter["shrinkage"]).estimate_policy_value(**common),
    "mips": MarginalizedInverseProbabilityWeighting(n_actions=n_offers).estimate_policy_value(
        reward=given["reward"],
        action=given["offer"],
        action_embed=given["labels"][given["offer"]][:, None],
        pi_b=given["logging"][:, :, None],
        action_dist=target,
        p_e_a=np.eye(given["labels"].max() + 1)[given["labels"]][:, :, None],
    ),
}

# mrdr of a target that takes one offer for sure, its linear reward model fitted to all rows.
sure = given["sure"][:, :, None]
model = RegressionModel(n_actions=n_offers, base_model=LinearRegression(), fitting_method="mrdr")
predicted = model.fit_predict(context=given["context"], action_dist=sure, **log)
values["mrdr"] = DoublyRobust().estimate_policy_value(**log, action_dist=sure, estimated_rewards_by_reg_model=predicted)

# The clipping that is chosen for each part of the rows.
chosen = []
for part in range(int(given["parts"])):
    rows = slice(part, None, int(given["parts"]))
    tuned = InverseProbabilityWeightingTuning(lambdas=list(given["clips"]))
    tuned.estimate_policy_value_with_tuning(
        **{name: column[rows] for name, column in log.items()}, action_dist=target[rows]
    )
    chosen.append(float(tuned.best_hyperparam))

answers = {
    "versions": {name: version(name) for name in ("sb-obp", "numpy", "scikit-learn")},
    "inputs": digest(given),
    "values": {name: float(value) for name, value in values.items()},
    "clips": chosen,
}
Path(sys.argv[1]).write_text(json.dumps(answers, indent=2) + "\n", encoding="utf-8")
