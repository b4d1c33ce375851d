"""Frozen records and protocols that every package shares; imports numpy and nothing of ours.

Shapes: n rows of a batch, N offers of the catalogue. Times are whole microseconds since 1970-01-01 UTC.

Glossary
--------
dimension, option
    A lever, such as discount or channel, and one of its values, such as "10" or "email".
offer
    A combination: exactly one option of each dimension ("none" is an option like any other).
catalogue
    Dimensions, options with their costs, rules, the objective, and the declared facts.
audience surprise
    A segment that responds to an option more than the rules assume, where giving it the option surely earns more.
context, fact
    What is known of a customer when a decision is made: the values of the declared facts.
eligible set
    The offers that rules leave for a customer at that moment; each removal has a reason.
policy
    Anything that turns (contexts, eligible sets) into a probability for each offer.
propensity
    The probability with which the policy chose the offer that it chose.
predicted response
    The model's expected outcome of an offer. It is not the propensity.
decision
    One request answered: id, customer, context, eligible set, chosen offer, propensity.
event
    What happened after a decision: shown, purchase, return, closed, ...
reward
    What the events of a decision add up to in the objective's unit, such as profit in EUR.
outcome
    A decision with what came of it: whether it converted, the net revenue, the reward.
updated outcome
    An outcome that a policy has learned before and that has changed since, by a return or a correction.
activation
    The event without which a decision has no outcome, where the objective names one, such as "shown".
stage
    An event that comes before the conversion, such as a click; one that was reached implies those before it.
sticky offer
    An offer that a customer keeps for a while, whatever the channel of the next request.
repeat
    A request that was answered with an earlier decision of the same customer, its original. It is no decision.
open decision
    A decision whose attribution window has not ended and that nobody has closed. Its silence counts in part, by age.
arm
    What may serve a customer under a roll-out: the rules or the fallback, the champion, a challenger.
champion, challenger
    The policy that is live, and another policy that serves a share of its customers.
candidate
    A policy that learned a log offline and was added to its store. It serves nobody until it is challenged or promoted.
guardrail
    An upper bound for how often an event may follow the policy's decisions. A broken one warns, or stops the policies.
segment rules
    Today's practice as a policy: the first rule that matches names the offer.
trajectory weights
    How much a decision counts for each group: by the chance of the customer's decisions so far in that group.
lift
    What one live group of customers earned more than another.
incrementality
    What a group's customers bought beyond what they would have bought anyway, which a holdout shows.
log
    The decisions with their outcomes, in order, in a database or a file.
evaluate
    Estimate the value of a frozen policy from a log.
replay
    Run a policy that learns through a log, keeping the decisions that it would have made itself.
off-policy evaluation
    Estimating what one policy would have earned from the log of another.
effective sample size
    The number of equally weighted decisions that would give an estimate of the same precision.
credible interval
    The range in which a number lies with a given probability, by what a policy has learned.
contribution
    What one fact adds to the difference of two offers' scores or expected rewards. All contributions sum to it exactly.
runner-up
    The eligible offer that would be best if the chosen one were not there.
support
    The share of a policy's probability on offers that the log can say something about.
part, runner
    The decisions of some customers of a log that is kept in parts, and what computes something of each part.
fold
    To compute a state by learning the steps of a log in order. The same log always gives the same state.
step
    A set of outcomes learned together, in one transaction.
ledger
    The record of which outcomes each policy has learned, in which step, and as what.
snapshot
    A policy's state as bytes, stored with the step that it is the result of.
lease
    The exclusive right to learn, held by one process for a limited time.
spool
    A file beside the database that keeps decisions and events while the database cannot be written.
rebuild
    Fold the log again from the beginning, and compare with the current state.
verify
    Compute every logged decision again from its seed, context and policy state.
group
    A customer's standing assignment: policy, random control, business as usual, holdout.
guardrail
    A bound on how often an event happens after the policy's decisions. Once it is broken, it stops the policy or warns.
facts-clairvoyant, clairvoyant
    The best policy that sees only the declared facts, and the best that sees every taste. Known in the simulator only.
"""

from bandit.domain.arrays import MICROSECONDS, BoolArray, FloatArray, IntArray, ObjectArray
from bandit.domain.contexts import Contexts
from bandit.domain.decisions import Decision, DecisionBatch
from bandit.domain.logs import DecisionLabels, LogDefaults, LogView, OutsideReason
from bandit.domain.offers import EligibleSets, FactoredColumns, Removal, SparseProbabilities
from bandit.domain.outcomes import LoggedBatch, Outcomes, Previous
from bandit.domain.partitions import InProcessRunner, LogPart, PartitionedLog, PartRunner
from bandit.domain.protocols import (
    CheckedPolicy,
    InPlacePolicy,
    KeyedPolicy,
    LabelledLog,
    LabelledOutsideLog,
    Log,
    Policy,
    PooledPolicy,
    Progress,
    RewardPredictor,
    SparsePolicy,
)

__all__ = [
    "MICROSECONDS",
    "BoolArray",
    "CheckedPolicy",
    "Contexts",
    "Decision",
    "DecisionBatch",
    "DecisionLabels",
    "EligibleSets",
    "FactoredColumns",
    "FloatArray",
    "InPlacePolicy",
    "InProcessRunner",
    "IntArray",
    "KeyedPolicy",
    "LabelledLog",
    "LabelledOutsideLog",
    "Log",
    "LogDefaults",
    "LogPart",
    "LogView",
    "LoggedBatch",
    "ObjectArray",
    "Outcomes",
    "OutsideReason",
    "PartRunner",
    "PartitionedLog",
    "Policy",
    "PooledPolicy",
    "Previous",
    "Progress",
    "Removal",
    "RewardPredictor",
    "SparsePolicy",
    "SparseProbabilities",
]
