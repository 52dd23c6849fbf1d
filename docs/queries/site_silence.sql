-- Which sites were silent for more than a day, and from when to when?
WITH reading AS (
  SELECT
    site_id,
    created_at_time AS silent_from,
    lead(created_at_time) OVER (PARTITION BY site_id ORDER BY created_at_time) AS silent_to
  FROM watershed_conformed.site_activity
)
SELECT site_id, silent_from, silent_to, date_diff('hour', silent_from, silent_to) AS hours
FROM reading
WHERE silent_to > silent_from + interval '1' day
ORDER BY hours DESC, site_id
