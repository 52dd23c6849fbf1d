-- Who is in a cohort: living patients of 40 and more with active diabetes (ICD-10 E11, or SNOMED CT 44054006)?
WITH as_of AS (SELECT date '2025-07-01' AS day)
SELECT
  p.id AS patient_id,
  p.gender,
  date_diff('year', p.birth_date, a.day) AS age,
  min(c.onset_date) AS first_onset
FROM watershed_curated.patient p
CROSS JOIN as_of a
JOIN watershed_curated.condition c ON c.patient_key = p.resource_key
WHERE c.clinical_status = 'active'
  AND (c.code LIKE 'E11%' OR c.code = '44054006')
  AND NOT coalesce(p.is_deceased, false)
  AND date_diff('year', p.birth_date, a.day) >= 40
GROUP BY p.id, p.gender, p.birth_date, a.day
ORDER BY p.id
