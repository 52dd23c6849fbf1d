-- Whose latest systolic blood pressure (LOINC 8480-6) is 140 or more?
WITH ranked AS (
  SELECT
    patient_key,
    effective_at,
    value_quantity,
    row_number() OVER (PARTITION BY patient_key ORDER BY effective_at DESC, resource_key) AS nth
  FROM watershed_curated.observation
  WHERE code = '8480-6' AND value_quantity IS NOT NULL
)
SELECT patient_key, effective_at, value_quantity AS systolic
FROM ranked
WHERE nth = 1 AND value_quantity >= 140
ORDER BY systolic DESC, patient_key
