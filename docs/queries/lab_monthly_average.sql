-- What does the average of a laboratory value look like month by month (here HbA1c, LOINC 4548-4)?
SELECT
  date_trunc('month', effective_at) AS month,
  count(*) AS measured,
  count(DISTINCT patient_key) AS patients,
  round(avg(CAST(value_quantity AS double)), 2) AS average
FROM watershed_curated.observation
WHERE code = '4548-4' AND value_quantity IS NOT NULL
GROUP BY 1
ORDER BY 1
