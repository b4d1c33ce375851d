"""Queries for single records and for the state of the log: decisions, customers, events, fallbacks, sizes."""

from __future__ import annotations

from bandit.report.dashboard.parts import DECISION_TIME, EVENT_TIME, SHOWN_TIME, DashboardQuery

_OUTCOME_COLUMNS = """
    (SELECT COALESCE(sum(e.converts), 0) > 0 AND NOT (COALESCE(min(e.revenue), 0) < 0 AND sum(e.revenue) <= 1e-6)
        FROM counted_events e WHERE e.seq = d.seq) AS converted,
    (SELECT round(COALESCE(sum(e.revenue), 0), 2) FROM counted_events e WHERE e.seq = d.seq) AS revenue
"""

# In words, which wrap in a narrow column where JSON does not: "discount 10, channel sms".
_OFFER = """COALESCE((SELECT group_concat(j.key || ' ' || j.value, ', ') FROM json_each(f.options) j), d.offer)"""

_FACTS = """
(SELECT group_concat(j.key || ' ' || CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
    WHEN 'null' THEN 'unknown' ELSE j.value END, ', ') FROM json_each(d.context) j)
"""

_SHOWN_DECISION = f"""
SELECT {DECISION_TIME} AS time, d.decision_id, d.grp AS "group", a.arm,
    COALESCE((SELECT group_concat(j.value, ' / ') FROM json_each(f.options) j), d.offer) AS offer,
    round(d.propensity, 4) AS propensity,{_OUTCOME_COLUMNS}, substr(d.fault, 1, 60) AS fault_begins,
    k.key AS customer, d.context
FROM decisions d JOIN customers k ON k.id = d.customer_id
LEFT JOIN offers f ON f.catalogue_id = d.catalogue_id AND f.offer = d.offer
LEFT JOIN decision_arms a ON a.seq = d.seq
"""  # noqa: S608 - constants, here and below

_LAST = f"{_SHOWN_DECISION} ORDER BY d.seq DESC LIMIT 100"

_OF_CUSTOMER = f"""
{_SHOWN_DECISION} WHERE d.customer_id = (SELECT id FROM customers WHERE key = :customer) ORDER BY d.seq DESC LIMIT 500
"""  # noqa: S608

_REMOVED = """
SELECT group_concat(
    json_extract(j.value, '$.rule') || COALESCE(': ' || nullif(json_extract(j.value, '$.reason'), ''), ''), '; '
) FROM eligible_sets s CROSS JOIN json_each(s.removals) j WHERE s.id = d.eligible_set_id
"""

_ONE = f"""
WITH chosen AS (
    SELECT * FROM decisions WHERE seq = COALESCE(
        (SELECT seq FROM decisions WHERE decision_id = :decision_id),
        (SELECT seq FROM repeats WHERE decision_id = :decision_id)
    )
),
told AS (
    SELECT 0 AS place, d.time, 'decision' AS what, d.decision_id AS value FROM chosen d
    UNION ALL SELECT 1, d.time, 'customer', k.key FROM chosen d JOIN customers k ON k.id = d.customer_id
    UNION ALL SELECT 2, d.time, 'facts', {_FACTS} FROM chosen d
    UNION ALL SELECT 3, d.time, 'rules that removed offers', ({_REMOVED}) FROM chosen d
    UNION ALL SELECT 4, d.time, 'offer', {_OFFER} FROM chosen d
        LEFT JOIN offers f ON f.catalogue_id = d.catalogue_id AND f.offer = d.offer
    UNION ALL SELECT 5, d.time, 'propensity', d.propensity FROM chosen d
    UNION ALL SELECT 6, d.time, 'group', d.grp FROM chosen d
    UNION ALL SELECT 7, d.time, 'served by the arm', a.arm FROM chosen d JOIN decision_arms a ON a.seq = d.seq
    UNION ALL SELECT 8, d.time, 'policy and step', 'policy ' || d.policy_id || ', step ' || d.policy_step FROM chosen d
    UNION ALL SELECT 9, d.time, 'fault', d.fault FROM chosen d WHERE d.fault IS NOT NULL
    UNION ALL SELECT 10, r.time, 'repeated as', r.decision_id FROM chosen d JOIN repeats r ON r.seq = d.seq
    UNION ALL SELECT 11, e.time, 'event ' || e.event, CASE
        WHEN EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id) THEN 'corrected by a later one'
        WHEN e.time < d.time THEN 'before the decision'
        WHEN e.time > d.time + c.objective_window THEN 'after the window'
        ELSE 'counts' END || COALESCE(', revenue ' || e.revenue, '') || COALESCE(', reward ' || e.reward, '')
    FROM chosen d JOIN events e ON e.seq = d.seq JOIN catalogues c ON c.id = d.catalogue_id
)
SELECT what, value, {SHOWN_TIME.format("time")} AS time FROM told ORDER BY place, told.time
"""  # noqa: S608

_EVENTS_BY_NAME = f"""
SELECT e.event, count(*) AS recorded, sum(e.corrects IS NOT NULL) AS corrections,
    count(DISTINCT e.seq) AS decisions,
    sum(e.time BETWEEN d.time AND d.time + c.objective_window AND n.id IS NULL) AS count_in_window,
    round(COALESCE(sum(CASE WHEN n.id IS NULL THEN e.revenue END), 0), 2) AS revenue,
    {SHOWN_TIME.format("min(e.time)")} AS first, {SHOWN_TIME.format("max(e.time)")} AS last
FROM events e JOIN decisions d ON d.seq = e.seq JOIN catalogues c ON c.id = d.catalogue_id
LEFT JOIN events n ON n.corrects = e.id
GROUP BY e.event ORDER BY recorded DESC
"""  # noqa: S608

_LAST_EVENTS = f"""
SELECT {EVENT_TIME} AS time, e.event, d.decision_id, e.revenue, e.reward, e.version AS correction,
    {SHOWN_TIME.format("e.recorded_at")} AS recorded_at
FROM events e JOIN decisions d ON d.seq = e.seq ORDER BY e.id DESC LIMIT 100
"""  # noqa: S608

_FALLBACKS = f"""
WITH served AS (
    SELECT seq, time, grp, fault AS why FROM decisions WHERE fault IS NOT NULL
    UNION ALL SELECT d.seq, d.time, d.grp, 'the roll-out: ' || json_extract(c.state, '$.mode')
        || COALESCE(', halted by ' || json_extract(c.state, '$.halted'), '')
    FROM decision_arms a JOIN decisions d ON d.seq = a.seq JOIN rollout_changes c ON c.id = a.change_id
    WHERE a.arm = 'fallback' AND d.fault IS NULL
)
SELECT why, grp AS "group", count(*) AS decisions, {SHOWN_TIME.format("min(time)")} AS first,
    {SHOWN_TIME.format("max(time)")} AS last
FROM served GROUP BY why, grp ORDER BY decisions DESC LIMIT 200
"""  # noqa: S608

_BY_MONTH = """
WITH written AS (
    SELECT strftime('%Y-%m', time / 1e6, 'unixepoch') AS month, count(*) AS decisions, 0 AS repeats, 0 AS events,
        sum(length(context)) AS bytes FROM decisions GROUP BY month
    UNION ALL SELECT strftime('%Y-%m', time / 1e6, 'unixepoch') AS month, 0, count(*), 0, sum(length(context))
    FROM repeats GROUP BY month
    UNION ALL SELECT strftime('%Y-%m', recorded_at / 1e6, 'unixepoch') AS month, 0, 0, count(*), 0
    FROM events GROUP BY month
)
SELECT month, sum(decisions) AS decisions, sum(repeats) AS repeats, sum(events) AS events_recorded,
    round(sum(bytes) / 1e6, 3) AS context_megabytes
FROM written GROUP BY month ORDER BY month DESC
"""

RECORD_QUERIES = (
    DashboardQuery(
        "last_decisions", "The last 100 decisions", "Newest first, each with what has come of it so far.", _LAST
    ),
    DashboardQuery(
        "one_decision",
        "One decision and what came of it",
        "What was known, which rules removed offers, what was served, and every event. `offer-bandit why` explains it.",
        _ONE,
        {"decision_id": "the identifier of a decision, or of a repeat of it"},
    ),
    DashboardQuery(
        "decisions_of_customer",
        "The decisions of one customer",
        "The newest 500. Where a customer key is set, the database knows no identifier: copy the keyed hash from a "
        "decision, or use `offer-bandit export-customer`, which takes the identifier.",
        _OF_CUSTOMER,
        {"customer": "the customer as stored (customers.key)"},
    ),
    DashboardQuery(
        "events_by_name",
        "Events by name",
        "How often each event was recorded, and how many count: within the window, and not corrected.",
        _EVENTS_BY_NAME,
    ),
    DashboardQuery("last_events", "The last 100 events", "Newest first, in the order of recording.", _LAST_EVENTS),
    DashboardQuery(
        "served_by_fallback",
        "Decisions served by the fallback, and why",
        "Decisions in which a fault or a halt of the roll-out put the fallback in place of a policy's choice.",
        _FALLBACKS,
    ),
    DashboardQuery(
        "log_by_month",
        "Size of the log by month",
        "Decisions and repeats by the month they were made in, events by the month they were recorded in.",
        _BY_MONTH,
    ),
)
"""The queries for records, in the order of the page."""
