"""Incremental outcomes: what a group of customers got and bought beyond what a control group buys by itself.

Customers are assigned at random to groups and to a control (holdout) that gets one offer, as a rule nothing. Per
decision, a group's mean outcome minus the control's is what its offers added, and the control's mean is what would have
come anyway. Three things are computed, from sums by customer:

- differences and quotients of the means of any outcomes, such as conversions, revenue and profit;
- **by option**: who gets an option is not a random part of the group, so those customers are compared with the
  control's decisions, weighted by the probability p_o(x) with which the group would have given the option o to them:
  sum([offer has o] y) / sum([offer has o]) over the group, minus sum(p_o y) / sum(p_o) over the control. Both are means
  over the same kind of decisions, since E([offer has o] | x) = p_o(x), and the difference is the effect on those who
  got o. Its weights are those of the effect on the treated of Hirano, Imbens and Ridder 2003, "Efficient estimation of
  average treatment effects using the estimated propensity score"; here the probabilities are known;
- **money spent on what would have come anyway**: over the control's decisions, p_o(x) times what the option would have
  cost on the purchase that came without it. It adds up over options and dimensions.

Standard errors are those of the delta method, clustered by customer; intervals are for one look or for every look.
"""

from bandit.ope.incremental.batch import ControlBatch, ControlOptions, ServedBatch
from bandit.ope.incremental.tally import Cell, IncrementTally, Quotient

__all__ = ["Cell", "ControlBatch", "ControlOptions", "IncrementTally", "Quotient", "ServedBatch"]
