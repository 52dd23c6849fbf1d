-- How many encounters of each class began in each month?
SELECT date_trunc('month', started_at) AS month, class_code, count(*) AS encounters
FROM watershed_curated.encounter
WHERE started_at IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2
