-- Each day of each site: its readings, and how much care the patients they concern had on that day.
with reading as (
  select *, to_date(created_at_time) as activity_date
  from site_activity
),

day as (
  select
    site_id,
    activity_date,
    count(*) as reading_count,
    count_if(patient_id is null) as unlinked_reading_count,
    count(distinct patient_id) as patient_count,
    cast(sum(value_one) / count(value_one) as decimal(38,6)) as value_one_average,
    cast(sum(value_two) / count(value_two) as decimal(38,6)) as value_two_average,
    min(created_at_time) as first_reading_at,
    max(created_at_time) as last_reading_at
  from reading
  group by site_id, activity_date
),

seen as (
  select distinct r.site_id, r.activity_date, p.resource_key as patient_key
  from reading r
  join patient p on p.id = r.patient_id
),

event as (
  select patient_key, 'encounter' as kind, coalesce(to_date(started_at), start_date) as event_date,
    coalesce(class_code in ('IMP', 'ACUTE', 'NONAC'), false) as is_inpatient
  from encounter
  where status not in ('cancelled', 'entered-in-error')
  union all
  select patient_key, 'procedure', coalesce(to_date(coalesce(performed_at, performed_start_at)), performed_date, performed_start_date), false
  from procedure
  where status not in ('entered-in-error', 'not-done')
  union all
  select patient_key, 'observation', coalesce(to_date(coalesce(effective_at, effective_start_at)), effective_date, effective_start_date), false
  from observation
  where status <> 'entered-in-error'
),

volume as (
  select
    s.site_id,
    s.activity_date,
    count(distinct s.patient_key) as known_patient_count,
    count_if(e.kind = 'encounter') as encounter_count,
    count_if(e.kind = 'encounter' and e.is_inpatient) as inpatient_encounter_count,
    count(distinct case when e.kind = 'encounter' then s.patient_key end) as encounter_patient_count,
    count_if(e.kind = 'procedure') as procedure_count,
    count_if(e.kind = 'observation') as observation_count
  from seen s
  left join event e on e.patient_key = s.patient_key and e.event_date = s.activity_date
  group by s.site_id, s.activity_date
)

select
  d.site_id,
  d.activity_date,
  d.reading_count,
  d.unlinked_reading_count,
  d.patient_count,
  coalesce(v.known_patient_count, 0) as known_patient_count,
  d.value_one_average,
  d.value_two_average,
  d.first_reading_at,
  d.last_reading_at,
  coalesce(v.encounter_count, 0) as encounter_count,
  coalesce(v.inpatient_encounter_count, 0) as inpatient_encounter_count,
  coalesce(v.encounter_patient_count, 0) as encounter_patient_count,
  coalesce(v.procedure_count, 0) as procedure_count,
  coalesce(v.observation_count, 0) as observation_count
from day d
left join volume v on v.site_id = d.site_id and v.activity_date = d.activity_date
