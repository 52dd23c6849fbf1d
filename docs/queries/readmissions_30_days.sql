-- Which inpatient stays began within 30 days of the end of the same patient's stay before?
WITH stay AS (
  SELECT
    resource_key,
    patient_key,
    started_at,
    ended_at,
    lag(ended_at) OVER (PARTITION BY patient_key ORDER BY started_at) AS previous_end
  FROM watershed_curated.encounter
  WHERE class_code = 'IMP' AND status = 'finished'
)
SELECT
  patient_key,
  resource_key AS encounter_key,
  started_at,
  date_diff('day', previous_end, started_at) AS days_since_discharge
FROM stay
WHERE previous_end <= started_at AND started_at < previous_end + interval '30' day
ORDER BY started_at, encounter_key
