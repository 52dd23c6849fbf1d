-- How does HbA1c (LOINC 4548-4) develop: first and latest value of each patient with two or more, and the change?
WITH value AS (
  SELECT
    patient_key,
    effective_at,
    value_quantity,
    row_number() OVER (PARTITION BY patient_key ORDER BY effective_at, resource_key) AS nth,
    row_number() OVER (PARTITION BY patient_key ORDER BY effective_at DESC, resource_key DESC) AS nth_last
  FROM watershed_curated.observation
  WHERE code = '4548-4' AND status IN ('final', 'amended', 'corrected') AND value_quantity IS NOT NULL
)
SELECT
  patient_key,
  count(*) AS measured,
  max(CASE WHEN nth = 1 THEN value_quantity END) AS first_value,
  max(CASE WHEN nth_last = 1 THEN value_quantity END) AS latest_value,
  max(CASE WHEN nth_last = 1 THEN value_quantity END) - max(CASE WHEN nth = 1 THEN value_quantity END) AS change
FROM value
GROUP BY patient_key
HAVING count(*) >= 2
ORDER BY change DESC, patient_key
