-- Which actively enrolled patients have not been seen for six months?
WITH as_of AS (SELECT timestamp '2025-07-01 00:00:00 UTC' AS moment)
SELECT p.patient_id, p.risk_score, p.last_encounter_at, p.encounter_count
FROM watershed_curated.patient_profile p
CROSS JOIN as_of a
WHERE p.enrolment_status = 'active'
  AND NOT coalesce(p.is_deceased, false)
  AND (p.last_encounter_at IS NULL OR p.last_encounter_at < a.moment - interval '6' month)
ORDER BY p.risk_score DESC, p.patient_id
