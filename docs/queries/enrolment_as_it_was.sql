-- How many patients were enrolled in each status on a given day, whatever was changed since?
WITH as_of AS (SELECT timestamp '2025-03-01 00:00:00 UTC' AS moment)
SELECT h.enrolment_status, count(*) AS patients
FROM watershed_conformed.patient_history h
CROSS JOIN as_of a
WHERE h._event_name <> 'REMOVE'
  AND h._valid_from <= a.moment
  AND (h._valid_to IS NULL OR h._valid_to > a.moment)
GROUP BY h.enrolment_status
ORDER BY h.enrolment_status
