-- How old are living patients, by ten-year bands and gender?
WITH as_of AS (SELECT date '2025-07-01' AS day),
aged AS (
  SELECT p.gender, 10 * (date_diff('year', p.birth_date, a.day) / 10) AS from_age
  FROM watershed_curated.patient p
  CROSS JOIN as_of a
  WHERE p.birth_date IS NOT NULL AND NOT coalesce(p.is_deceased, false)
)
SELECT
  from_age,
  count_if(gender = 'female') AS female,
  count_if(gender = 'male') AS male,
  count_if(gender NOT IN ('female', 'male') OR gender IS NULL) AS other
FROM aged
GROUP BY from_age
ORDER BY from_age
