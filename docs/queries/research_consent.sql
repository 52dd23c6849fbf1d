-- How many patients consent to research, by gender, and with how many encounters on record?
SELECT
  gender,
  count(*) AS patients,
  count_if(contains(consents, 'research')) AS consenting,
  sum(CASE WHEN contains(consents, 'research') THEN encounter_count ELSE 0 END) AS their_encounters
FROM watershed_curated.patient_profile
GROUP BY gender
ORDER BY gender
