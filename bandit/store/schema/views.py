"""The views of the first migration, for people who read the database with a SQL client.

Times are shown as ISO 8601 texts in UTC. The program itself reads the tables, never these views. A published text does
not change: a migration that replaces a view brings a text of its own, as migration 5 does for the counted events.
"""

EVENT_LOG = """
SELECT e.id, d.decision_id, e.event_id, e.event,
    strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1e6, 'unixepoch') AS time,
    strftime('%Y-%m-%dT%H:%M:%fZ', e.recorded_at / 1e6, 'unixepoch') AS recorded_at,
    e.revenue, e.reward, e.corrects,
    NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id) AS current
FROM events e JOIN decisions d ON d.seq = e.seq
"""

COUNTED_EVENTS = """
SELECT e.id, e.seq, e.event, e.time, e.revenue, e.reward, e.event = c.objective_event AS converts
FROM events e
JOIN decisions d ON d.seq = e.seq
JOIN catalogues c ON c.id = d.catalogue_id
WHERE e.time <= d.time + c.objective_window AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
"""

DECISION_LOG = """
SELECT d.decision_id,
    strftime('%Y-%m-%dT%H:%M:%fZ', d.time / 1e6, 'unixepoch') AS time,
    k.key AS customer, c.name AS catalogue, c.version AS catalogue_version,
    o.options AS offer, d.propensity, d.grp AS "group", d.policy_id AS policy, d.policy_step AS step,
    d.context, d.fault,
    (SELECT count(*) FROM counted_events e WHERE e.seq = d.seq) AS events,
    (SELECT COALESCE(sum(e.converts), 0) > 0 AND NOT (COALESCE(min(e.revenue), 0) < 0 AND sum(e.revenue) <= 1e-6)
        FROM counted_events e WHERE e.seq = d.seq) AS converted,
    (SELECT COALESCE(sum(e.revenue), 0) FROM counted_events e WHERE e.seq = d.seq) AS revenue
FROM decisions d
JOIN customers k ON k.id = d.customer_id
JOIN catalogues c ON c.id = d.catalogue_id
LEFT JOIN offers o ON o.catalogue_id = d.catalogue_id AND o.offer = d.offer
"""
