-- What did each version of a FHIR resource say that has been landed (here of the patient p1)?
WITH landed AS (
  SELECT resource FROM watershed_landing.fhir_export WHERE resource_type = 'Patient'
  UNION ALL
  SELECT resource FROM watershed_landing.fhir_change WHERE resource_type = 'Patient'
)
SELECT DISTINCT
  json_extract_scalar(resource, '$.meta.versionId') AS version_id,
  from_iso8601_timestamp(json_extract_scalar(resource, '$.meta.lastUpdated')) AS last_updated,
  resource
FROM landed
WHERE json_extract_scalar(resource, '$.id') = 'p1'
ORDER BY last_updated, version_id
