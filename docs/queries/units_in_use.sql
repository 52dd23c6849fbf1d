-- Which measurements come in more than one unit, so that their values must not be compared as they are?
SELECT
  code,
  max(code_display) AS display,
  array_join(array_sort(array_agg(DISTINCT value_unit)), ', ') AS units,
  count(*) AS results
FROM watershed_curated.observation
WHERE value_unit IS NOT NULL
GROUP BY code
HAVING count(DISTINCT value_unit) > 1
ORDER BY code
