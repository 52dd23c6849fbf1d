-- Which sites send most readings, about how many patients, and how do their values compare?
SELECT
  site_id,
  count(*) AS readings,
  count(DISTINCT patient_id) AS patients,
  round(avg(CAST(value_one AS double)), 2) AS value_one,
  max(created_at_time) AS latest
FROM watershed_conformed.site_activity
GROUP BY site_id
ORDER BY readings DESC, site_id
