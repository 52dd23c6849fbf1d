-- Do inpatients with site readings on the day before admission stay longer than those without?
SELECT
  count_before_start > 0 AS read_before,
  count(*) AS stays,
  round(avg(date_diff('hour', started_at, ended_at) / 24e0), 2) AS days_each
FROM watershed_curated.encounter_site_activity
WHERE class_code = 'IMP' AND ended_at IS NOT NULL
GROUP BY 1
ORDER BY 1
