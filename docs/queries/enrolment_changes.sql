-- Who changed from one enrolment status to another, and when?
WITH version AS (
  SELECT
    id,
    enrolment_status,
    _valid_from,
    _event_name,
    lag(enrolment_status) OVER (PARTITION BY id, sk ORDER BY _valid_from) AS before
  FROM watershed_conformed.patient_history
)
SELECT id AS patient_id, _valid_from AS changed_at, before, enrolment_status AS after
FROM version
WHERE _event_name <> 'REMOVE' AND before <> enrolment_status
ORDER BY changed_at, patient_id
