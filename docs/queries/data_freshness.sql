-- When did each job last succeed, and how many rows has it written and set aside in all?
SELECT
  job,
  max(CASE WHEN status = 'succeeded' THEN ended_at END) AS last_success,
  count_if(status = 'failed') AS failures,
  sum(rows_written) AS rows_written,
  sum(rows_quarantined) AS rows_quarantined
FROM watershed_ops.run
GROUP BY job
ORDER BY job
