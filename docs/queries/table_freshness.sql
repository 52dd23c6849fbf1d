-- Which moment of its sources does each curated table show, when did its rows last change, and did its last audit pass?
-- What a run that succeeded did not touch was current in it.
WITH audit AS (
  SELECT
    table_name,
    max(run_id) AS last_audit,
    max(CASE WHEN published THEN run_id END) AS last_publish
  FROM watershed_ops.expectation_result
  GROUP BY table_name
),
latest AS (
  SELECT max(started_at) AS started_at
  FROM watershed_ops.run
  WHERE job = 'curate' AND status = 'succeeded'
)
SELECT
  a.table_name,
  coalesce(a.last_audit = a.last_publish, false) AS passed,
  CASE
    WHEN a.last_audit = a.last_publish AND l.started_at > r.started_at THEN l.started_at
    ELSE r.started_at
  END AS as_of,
  r.started_at AS last_changed
FROM audit a
CROSS JOIN latest l
LEFT JOIN watershed_ops.run r ON r.run_id = a.last_publish
ORDER BY passed, as_of, a.table_name
