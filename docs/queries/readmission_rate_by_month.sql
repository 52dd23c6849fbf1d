-- What share of each month's discharges was followed by another inpatient stay within 30 days?
WITH stay AS (
  SELECT
    patient_key,
    ended_at,
    lead(started_at) OVER (PARTITION BY patient_key ORDER BY started_at) AS next_start
  FROM watershed_curated.encounter
  WHERE class_code = 'IMP' AND status = 'finished' AND ended_at IS NOT NULL
)
SELECT
  date_trunc('month', ended_at) AS month,
  count(*) AS discharges,
  count_if(next_start < ended_at + interval '30' day) AS readmitted,
  round(100e0 * count_if(next_start < ended_at + interval '30' day) / count(*), 1) AS percent
FROM stay
GROUP BY 1
ORDER BY 1
