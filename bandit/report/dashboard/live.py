"""Queries for what is live: the roll-out, guardrails, learning and maintenance."""

from __future__ import annotations

from bandit.report.dashboard.parts import SHOWN_TIME, DashboardQuery

_TIME = SHOWN_TIME.format("time")

_ROLLOUT = f"""
SELECT id, {_TIME} AS time, author, action, reason, json_extract(state, '$.mode') AS mode,
    json_extract(state, '$.share') AS share, json_extract(state, '$.halted') AS halted,
    json_extract(state, '$.substitute') AS substitute, json_extract(state, '$.policies') AS policies
FROM rollout_changes ORDER BY id DESC LIMIT 500
"""  # noqa: S608 - constants, here and below

# The same decisions and events as `MonitoredDecisions` counts: those that the policy served since the last restart.
_GUARDRAILS = """
WITH newest AS (SELECT * FROM catalogues ORDER BY id DESC LIMIT 1),
setting AS (
    SELECT content, objective_window AS window, json_extract(content, '$.objective.activation') AS activation,
        json_type(content, '$.groups') IS NOT NULL AS grouped,
        COALESCE((SELECT max(time) FROM rollout_changes WHERE action = 'resume'), -9e18) AS since
    FROM newest WHERE json_array_length(content, '$.guardrails') > 0
),
served AS MATERIALIZED (
    SELECT d.seq, d.time, CASE WHEN s.grouped THEN d.grp ELSE 'policy' END AS grp
    FROM setting s CROSS JOIN decisions d LEFT JOIN decision_arms a ON a.seq = d.seq
    WHERE d.fault IS NULL AND d.time >= s.since
        AND d.policy_id NOT IN (SELECT id FROM policies WHERE json_extract(spec, '$.kind') = 'imported')
        AND CASE WHEN NOT s.grouped OR d.grp = 'policy'
            THEN a.arm IS NULL OR a.arm = 'policy' OR a.arm LIKE 'challenger:%'
            ELSE a.arm IS NOT 'fallback' END
        AND (s.activation IS NULL OR EXISTS (
            SELECT 1 FROM events e WHERE e.seq = d.seq AND e.event = s.activation
                AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
        ))
),
totals AS (SELECT grp, count(*) AS decisions FROM served GROUP BY grp),
hits AS (
    SELECT v.grp, e.event, count(DISTINCT e.seq) AS decisions
    FROM setting s CROSS JOIN events e CROSS JOIN served v ON v.seq = e.seq
    WHERE e.event IN (SELECT json_extract(value, '$.event') FROM json_each(s.content, '$.guardrails'))
        AND e.time >= v.time AND (e.time <= v.time + s.window OR e.event = s.activation)
        AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
    GROUP BY v.grp, e.event
),
rails AS (
    SELECT g.key AS place, json_extract(g.value, '$.event') AS event, json_extract(g.value, '$.at_most') AS at_most,
        json_extract(g.value, '$.against') AS against, json_extract(g.value, '$.worse_by') AS worse_by,
        json_extract(g.value, '$.action') AS action
    FROM setting s CROSS JOIN json_each(s.content, '$.guardrails') g
)
SELECT r.event, t.grp AS "group", t.decisions, COALESCE(h.decisions, 0) AS with_event,
    round(100.0 * COALESCE(h.decisions, 0) / t.decisions, 3) AS percent, 100.0 * r.at_most AS at_most_percent,
    r.against, 100.0 * r.worse_by AS worse_by_percent_points, r.action
FROM rails r JOIN totals t ON t.grp IN ('policy', r.against)
LEFT JOIN hits h ON h.grp = t.grp AND h.event = r.event
ORDER BY r.place, t.grp <> 'policy'
"""

_LEARNING = f"""
SELECT date(s.recorded_at / 1e6, 'unixepoch') AS day, s.policy_id AS policy, json_extract(p.spec, '$.kind') AS kind,
    count(*) AS steps, sum(s.n) AS outcomes_learned, max(s.step) AS newest_step,
    {SHOWN_TIME.format("max(s.recorded_at)")} AS last
FROM policy_steps s JOIN policies p ON p.id = s.policy_id
GROUP BY day, s.policy_id ORDER BY day DESC, s.policy_id LIMIT 1000
"""  # noqa: S608

_UPKEEP = f"SELECT {_TIME} AS time, kind, details FROM upkeep ORDER BY id DESC LIMIT 500"  # noqa: S608

LIVE_QUERIES = (
    DashboardQuery(
        "rollout_history",
        "Roll-out history",
        "Every change of the roll-out, newest first; the first row is in force. `offer-bandit rollout report` says "
        "what it has shown.",
        _ROLLOUT,
    ),
    DashboardQuery(
        "guardrails",
        "Guardrails",
        "How often the events that the newest catalogue guards against followed a decision, since the roll-out was "
        "last resumed. Rates only: whether one is broken is decided with a bound that holds at every look "
        "(`offer-bandit guardrails`).",
        _GUARDRAILS,
    ),
    DashboardQuery(
        "learning_by_day", "Learning by day", "Steps of every policy, by the day they were written.", _LEARNING
    ),
    DashboardQuery(
        "maintenance_runs", "Backups, erasures and retention runs", "The newest 500, without identities.", _UPKEEP
    ),
)
"""The queries for what is live, in the order of the page."""
