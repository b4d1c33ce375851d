"""The names that options accept, kept here so that help is shown without loading what they name.

A test compares each with the registry that it repeats.
"""

from __future__ import annotations

INTERVAL_KINDS = ("skew", "normal", "bootstrap", "bernstein", "anytime", "anytime-skew")
"""Kinds of confidence intervals; the first is the default."""

ESTIMATOR_NAMES = (
    "ips",
    "clipped-ips",
    "snips",
    "dm",
    "dr",
    "sndr",
    "switch-dr",
    "dr-os",
    "mrdr",
    "mips",
    "pi",
    "clipped-ips-slope",
    "switch-dr-slope",
    "dr-os-slope",
)

REWARD_MODEL_NAMES = ("ridge", "vw")

OTHER_DIMENSIONS = ("baseline", "even")
"""What an offer has in the other dimensions where one option is given to everybody; the first is the default."""

EXPORT_FORMAT_NAMES = ("parquet", "csv", "csv.gz", "dsjson")

EXPLORATION_PERIODS = ("tenth", "week")
"""Rows of the exploration table; the first is the default."""

HALF_LIVES = ("7d", "14d", "30d", "60d", "90d", "180d", "never")
"""Half-lives that are compared by default."""

HALF_LIFE_BLOCK = 512
"""Decisions that are predicted before they are learned."""

ONE_POLICY_FORMS = (
    'uniform, thompson (or "thompson:half_life=30d,..."), vw (or "vw:ARGUMENTS"), '
    'vw-slates (or "vw-slates:ARGUMENTS"), offer:DIMENSION=OPTION,..., rules:FILE.toml, table:FILE.json'
)
"""How one policy is named on the command line."""

POLICY_FORMS = f"{ONE_POLICY_FORMS}, everyone"
"""How policies are named on the command line: `everyone` stands for one policy per offer."""

ROLLOUT_MODES = ("shadow", "apprentice", "ramp", "full")
"""Modes of a roll-out, from nobody to everybody."""

RESULT_PARTS = ("day", "week", "group", "policy", "option", "segment", "depth", "calibration")
"""What `results` breaks a log down by."""
