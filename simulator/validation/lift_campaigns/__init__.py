"""Lift on whole simulated campaigns: is what `lift` says right where the true lift is known?

`python -m simulator.validation.lift_campaigns` runs campaigns in which half of the customers are served by a policy
that learns online, and half by segment rules. Each campaign is looked at once, at its end, and every day, as the
command does. Campaigns are real (tastes differ, offers cost and matter) or null (no offer changes anything), with or
without personal parts in the policy. The ways are differences of means, trajectory weights and, as a control that is
known to be biased where the policy has personal parts, balanced weights of each decision alone.
"""
