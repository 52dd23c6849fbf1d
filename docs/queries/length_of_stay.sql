-- How long do encounters of each class last, in hours: the median, the longest, and how many are still open?
SELECT
  class_code,
  count(*) AS encounters,
  count_if(ended_at IS NULL) AS still_open,
  approx_percentile(date_diff('minute', started_at, ended_at) / 60e0, 0.5) AS median_hours,
  max(date_diff('minute', started_at, ended_at) / 60e0) AS longest_hours
FROM watershed_curated.encounter
GROUP BY class_code
ORDER BY class_code
