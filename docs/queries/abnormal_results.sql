-- Of which measurements is the share marked abnormal highest?
SELECT
  code,
  max(code_display) AS display,
  count(*) AS results,
  count_if(interpretation_code IN ('H', 'HH', 'L', 'LL', 'A', 'AA')) AS abnormal,
  round(100e0 * count_if(interpretation_code IN ('H', 'HH', 'L', 'LL', 'A', 'AA')) / count(*), 1) AS percent
FROM watershed_curated.observation
WHERE value_quantity IS NOT NULL
GROUP BY code
ORDER BY percent DESC, code
