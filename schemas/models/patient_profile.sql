-- Every patient of the FHIR server, with what the registry and the sites know of them.
with enrolment as (
  select *, row_number() over (partition by id order by sk) as place
  from registry
),

current_address as (
  select *, row_number() over (partition by id order by valid_from desc nulls last, sk desc) as place
  from address
  where is_current
),

contact as (
  select
    patient_key,
    count(*) as encounter_count,
    max(coalesce(started_at, cast(start_date as timestamp))) as last_encounter_at
  from encounter
  group by patient_key
),

activity as (
  -- Averages of decimals, not of doubles: a sum of doubles would depend on the order of the rows.
  select
    patient_id,
    count(*) as site_activity_count,
    count(distinct site_id) as site_count,
    max(created_at_time) as last_site_activity_at,
    cast(sum(value_one) / count(value_one) as decimal(38,6)) as value_one_average,
    cast(sum(value_two) / count(value_two) as decimal(38,6)) as value_two_average
  from site_activity
  group by patient_id
)

select
  p.resource_key as patient_key,
  p.id as patient_id,
  p.family_name,
  p.given_name,
  p.gender,
  p.birth_date,
  p.is_deceased,
  p.deceased_date,
  p.race_display as race,
  p.ethnicity_display as ethnicity,
  r.enrolled_at,
  r.enrolment_status,
  r.preferred_language,
  r.risk_score,
  r.consents,
  a.line as address_line,
  a.city,
  a.state,
  a.postal_code,
  a.country,
  a.valid_from as address_since,
  coalesce(c.encounter_count, 0) as encounter_count,
  c.last_encounter_at,
  coalesce(s.site_activity_count, 0) as site_activity_count,
  coalesce(s.site_count, 0) as site_count,
  s.last_site_activity_at,
  s.value_one_average,
  s.value_two_average
from patient p
left join enrolment r on r.id = p.id and r.place = 1
left join current_address a on a.id = p.id and a.place = 1
left join contact c on c.patient_key = p.resource_key
left join activity s on s.patient_id = p.id
