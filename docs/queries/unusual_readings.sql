-- Around which encounters did the sites measure a first value far from usual (a standard deviation or more)?
WITH usual AS (
  SELECT avg(CAST(value_one_average AS double)) AS mean, stddev_samp(CAST(value_one_average AS double)) AS spread
  FROM watershed_curated.encounter_site_activity
)
SELECT
  e.encounter_key,
  e.class_code,
  e.site_activity_count AS readings,
  round((CAST(e.value_one_average AS double) - u.mean) / u.spread, 2) AS deviations
FROM watershed_curated.encounter_site_activity e
CROSS JOIN usual u
WHERE abs(CAST(e.value_one_average AS double) - u.mean) >= u.spread
ORDER BY deviations DESC, e.encounter_key
