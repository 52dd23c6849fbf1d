-- Who is enrolled without a clinical record, and whose record has no enrolment?
SELECT
  coalesce(r.id, p.id) AS patient_id,
  CASE WHEN p.id IS NULL THEN 'no clinical record' ELSE 'not enrolled' END AS finding
FROM watershed_conformed.patient r
FULL OUTER JOIN watershed_curated.patient p ON p.id = r.id
WHERE r.id IS NULL OR p.id IS NULL
ORDER BY finding, patient_id
