-- Every encounter in the order of its patient's life: who, where, what happened in it, and what came before.
with visit as (
  select
    e.*,
    p.id as patient_id,
    p.birth_date,
    -- Where only the day is known, it counts from its beginning.
    coalesce(e.started_at, cast(e.start_date as timestamp)) as begun_at,
    coalesce(e.ended_at, cast(e.end_date as timestamp)) as over_at,
    coalesce(e.class_code in ('IMP', 'ACUTE', 'NONAC'), false) as is_inpatient,
    -- A ward of a stay is no stay of its own; an admission from the emergency department is, though part of that visit.
    stay.resource_key is not null as is_within_stay
  from encounter e
  left join patient p on p.resource_key = e.patient_key
  left join encounter stay
    on stay.resource_key = e.part_of_key and stay.patient_key = e.patient_key
    and stay.class_code in ('IMP', 'ACUTE', 'NONAC')
),

-- Encounters without a known start come last; the key settles what starts at one moment.
placed as (
  select
    *,
    row_number() over life as place,
    lag(resource_key) over life as previous_key,
    lag(begun_at) over life as previous_start,
    max(case when is_inpatient and not is_within_stay then over_at end)
      over (
        partition by patient_key order by begun_at nulls last, resource_key
        rows between unbounded preceding and 1 preceding
      ) as discharged_at
  from visit
  window life as (partition by patient_key order by begun_at nulls last, resource_key)
),

fact as (
  select encounter_key, 'condition' as kind from condition where coalesce(verification_status, '') <> 'entered-in-error'
  union all
  select encounter_key, 'observation' as kind from observation where status <> 'entered-in-error'
  union all
  select encounter_key, 'procedure' as kind from procedure where status not in ('entered-in-error', 'not-done')
  union all
  select encounter_key, 'medication_request' as kind from medication_request where status <> 'entered-in-error'
  union all
  select encounter_key, 'medication_administration' as kind from medication_administration where status in ('completed', 'in-progress')
  union all
  select encounter_key, 'diagnostic_report' as kind from diagnostic_report where status <> 'entered-in-error'
),

volume as (
  select
    encounter_key,
    count_if(kind = 'condition') as condition_count,
    count_if(kind = 'observation') as observation_count,
    count_if(kind = 'procedure') as procedure_count,
    count_if(kind = 'medication_request') as medication_request_count,
    count_if(kind = 'medication_administration') as medication_administration_count,
    count_if(kind = 'diagnostic_report') as diagnostic_report_count
  from fact
  where encounter_key is not null
  group by encounter_key
),

timed as (
  select
    *,
    case when patient_key is not null and previous_start <= begun_at
      then timestampdiff(day, previous_start, begun_at) end as days_since_previous,
    case when patient_key is not null and discharged_at <= begun_at
      then timestampdiff(day, discharged_at, begun_at) end as days_since_discharge
  from placed
)

select
  t.resource_key as encounter_key,
  t.id as encounter_id,
  t.patient_key,
  t.patient_id,
  case when t.patient_key is not null then t.place end as sequence_number,
  t.status,
  t.class_code,
  t.is_inpatient,
  t.type_display,
  t.reason_code,
  coalesce(t.reason_display, t.reason_text) as reason_display,
  t.started_at,
  t.start_date,
  t.ended_at,
  timestampdiff(minute, t.started_at, t.ended_at) as length_minutes,
  timestampdiff(year, cast(t.birth_date as timestamp), cast(t.start_date as timestamp)) as age_at_start,
  t.practitioner_key,
  nullif(concat_ws(' ', d.prefix, d.given_name, d.family_name), '') as practitioner_name,
  l.name as location_name,
  o.name as organization_name,
  t.discharge_disposition_code,
  case when t.patient_key is not null then t.previous_key end as previous_encounter_key,
  t.days_since_previous,
  t.days_since_discharge,
  t.is_inpatient and not t.is_within_stay and coalesce(t.days_since_discharge < 30, false) as is_readmission_30d,
  coalesce(v.condition_count, 0) as condition_count,
  coalesce(v.observation_count, 0) as observation_count,
  coalesce(v.procedure_count, 0) as procedure_count,
  coalesce(v.medication_request_count, 0) as medication_request_count,
  coalesce(v.medication_administration_count, 0) as medication_administration_count,
  coalesce(v.diagnostic_report_count, 0) as diagnostic_report_count
from timed t
left join volume v on v.encounter_key = t.resource_key
left join practitioner d on d.resource_key = t.practitioner_key
left join location l on l.resource_key = t.location_key
left join organization o on o.resource_key = t.organization_key
