-- Which two conditions occur most often together in one patient?
WITH active AS (
  SELECT DISTINCT patient_key, code, code_display
  FROM watershed_curated.condition
  WHERE clinical_status = 'active' AND code IS NOT NULL
)
SELECT a.code AS one, b.code AS other, count(*) AS patients
FROM active a
JOIN active b ON b.patient_key = a.patient_key AND a.code < b.code
GROUP BY a.code, b.code
ORDER BY patients DESC, one, other
LIMIT 20
