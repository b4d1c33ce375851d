"""Queries for results: by day, week, group, arm of the roll-out, option and fact."""

from __future__ import annotations

from bandit.report.dashboard.parts import DAY_PARAMETERS, IN_DAYS, OUTCOMES, RESULT_CAVEAT, RESULTS, DashboardQuery

_BY_DAY = f"""
WITH {OUTCOMES}
SELECT date(d.time / 1e6, 'unixepoch') AS day,{RESULTS}
WHERE {IN_DAYS} GROUP BY day ORDER BY day DESC
"""

_BY_WEEK = f"""
WITH {OUTCOMES}
SELECT date(d.time / 1e6, 'unixepoch', 'weekday 0', '-6 days') AS week_from, d.grp AS "group",{RESULTS}
WHERE {IN_DAYS} GROUP BY week_from, d.grp ORDER BY week_from DESC, d.grp
"""

_BY_GROUP = f"""
WITH {OUTCOMES}
SELECT d.grp AS "group", count(DISTINCT d.customer_id) AS customers,{RESULTS}
WHERE {IN_DAYS} GROUP BY d.grp ORDER BY decisions DESC
"""

_BY_ARM = f"""
WITH {OUTCOMES}
SELECT d.grp AS "group", COALESCE(a.arm, 'outside a roll-out') AS served_by,{RESULTS}
LEFT JOIN decision_arms a ON a.seq = d.seq
WHERE {IN_DAYS} GROUP BY d.grp, served_by ORDER BY d.grp, decisions DESC
"""

_BY_OPTION = f"""
WITH {OUTCOMES},
served AS (
    SELECT d.catalogue_id, d.offer, count(*) AS decisions, COALESCE(sum(o.converted), 0) AS conversions,
        COALESCE(sum(o.revenue), 0) AS revenue
    FROM decisions d LEFT JOIN outcomes o ON o.seq = d.seq
    WHERE {IN_DAYS} GROUP BY d.catalogue_id, d.offer
)
SELECT j.key AS dimension, j.value AS option, sum(s.decisions) AS decisions,
    round(100.0 * sum(s.decisions) / (SELECT sum(decisions) FROM served), 2) AS share_percent,
    sum(s.conversions) AS conversions, round(100.0 * sum(s.conversions) / sum(s.decisions), 2) AS response_percent,
    round(sum(s.revenue), 2) AS revenue, round(sum(s.revenue) / sum(s.decisions), 4) AS revenue_per_decision
FROM served s JOIN offers f ON f.catalogue_id = s.catalogue_id AND f.offer = s.offer
CROSS JOIN json_each(f.options) j
GROUP BY j.key, j.value ORDER BY j.key, decisions DESC
"""  # noqa: S608

# A path of JSON cannot name every fact, a row of json_each can.
_BY_FACT = f"""
WITH {OUTCOMES}
SELECT (
    SELECT CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE j.value END
    FROM json_each(d.context) j WHERE j.key = :fact
) AS value,{RESULTS}
WHERE {IN_DAYS} GROUP BY value ORDER BY decisions DESC LIMIT 200
"""  # noqa: S608

_NEVER_SERVED = """
WITH served AS (SELECT catalogue_id, offer, count(*) AS decisions FROM decisions GROUP BY catalogue_id, offer),
used AS (
    SELECT s.catalogue_id, j.key AS dimension, j.value AS option, sum(s.decisions) AS decisions
    FROM served s JOIN offers f ON f.catalogue_id = s.catalogue_id AND f.offer = s.offer
    CROSS JOIN json_each(f.options) j GROUP BY s.catalogue_id, j.key, j.value
),
declared AS (
    SELECT c.id, c.name, c.version, json_extract(m.value, '$.name') AS dimension,
        json_extract(o.value, '$.name') AS option, (SELECT sum(decisions) FROM served WHERE catalogue_id = c.id) AS n
    FROM catalogues c CROSS JOIN json_each(c.content, '$.dimensions') m CROSS JOIN json_each(m.value, '$.options') o
    WHERE EXISTS (SELECT 1 FROM offers f WHERE f.catalogue_id = c.id)
)
SELECT d.name AS catalogue, d.version, d.dimension, d.option, COALESCE(u.decisions, 0) AS decisions,
    d.n AS all_decisions, round(100.0 * COALESCE(u.decisions, 0) / d.n, 4) AS share_percent,
    CASE WHEN u.decisions IS NULL THEN 'never served' ELSE 'hardly ever served' END AS finding
FROM declared d
LEFT JOIN used u ON u.catalogue_id = d.id AND u.dimension = d.dimension AND u.option = d.option
WHERE d.n > 0 AND COALESCE(u.decisions, 0) < 0.001 * d.n
ORDER BY d.id DESC, d.dimension, decisions, d.option
"""

RESULT_QUERIES = (
    DashboardQuery(
        "result_by_day", "Result by day", f"Decisions of each day of UTC. {RESULT_CAVEAT}", _BY_DAY, DAY_PARAMETERS
    ),
    DashboardQuery(
        "result_by_week",
        "Result by week and group",
        f"Decisions of each week, from Monday, in each group. {RESULT_CAVEAT}",
        _BY_WEEK,
        DAY_PARAMETERS,
    ),
    DashboardQuery(
        "result_by_group",
        "Result by group",
        "Customers are dealt to the groups by chance unless the caller names a group, so their means can be compared; "
        "`offer-bandit lift` does so, with intervals and profit.",
        _BY_GROUP,
        DAY_PARAMETERS,
    ),
    DashboardQuery(
        "result_by_arm",
        "Result by what served",
        f"Group and arm of the roll-out that served. {RESULT_CAVEAT} `offer-bandit rollout report` compares the arms.",
        _BY_ARM,
        DAY_PARAMETERS,
    ),
    DashboardQuery(
        "result_by_option",
        "Result by option",
        f"Every option that was served, in each dimension. {RESULT_CAVEAT}",
        _BY_OPTION,
        DAY_PARAMETERS,
    ),
    DashboardQuery(
        "result_by_fact",
        "Result by a fact of the customer",
        f"The 200 most frequent values of one fact of the context; an empty value where it was not known. "
        f"{RESULT_CAVEAT}",
        _BY_FACT,
        {"fact": "the name of a fact, such as gender", **DAY_PARAMETERS},
    ),
    DashboardQuery(
        "options_never_served",
        "Options never or hardly ever served",
        "Options of a catalogue version that were in less than 1 in 1,000 of its decisions, whether or not rules left "
        "them to anybody.",
        _NEVER_SERVED,
    ),
)
"""The queries for results, in the order of the page."""
