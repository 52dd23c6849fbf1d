-- Do patients with a higher outreach risk score come more often?
SELECT
  CASE WHEN risk_score < 25 THEN '0 to 24' WHEN risk_score < 50 THEN '25 to 49'
       WHEN risk_score < 75 THEN '50 to 74' ELSE '75 to 100' END AS risk,
  count(*) AS patients,
  round(avg(CAST(encounter_count AS double)), 2) AS encounters_each
FROM watershed_curated.patient_profile
WHERE risk_score IS NOT NULL
GROUP BY 1
ORDER BY 1
