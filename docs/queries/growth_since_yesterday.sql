-- How many patients are there more than a day ago? (Time travel: it needs a snapshot of that age, not expired.)
SELECT
  (SELECT count(*) FROM watershed_curated.patient) AS now,
  (SELECT count(*) FROM watershed_curated.patient FOR TIMESTAMP AS OF current_timestamp - interval '1' day) AS yesterday
