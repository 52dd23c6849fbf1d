-- What each patient has now: active conditions, those of one code taken together.
with active as (
  select
    *,
    concat(patient_key, '|', coalesce(code_system, ''), '|', coalesce(code, code_text, resource_key)) as problem_key
  from condition
  where patient_key is not null
    and clinical_status in ('active', 'recurrence', 'relapse')
    and coalesce(verification_status, '') not in ('refuted', 'entered-in-error')
),

problem as (
  select
    *,
    row_number() over (
      partition by problem_key order by recorded_date desc nulls last, recorded_text desc nulls last, resource_key
    ) as place
  from active
),

summary as (
  select
    problem_key,
    bool_or(coalesce(category_code = 'problem-list-item', false)) as is_on_problem_list,
    count(*) as condition_count,
    min(onset_date) as first_onset_date,
    max(recorded_date) as last_recorded_date
  from problem
  group by problem_key
)

select
  r.problem_key,
  r.patient_key,
  p.id as patient_id,
  r.code_system,
  r.code,
  coalesce(r.code_display, r.code_text) as code_display,
  s.is_on_problem_list,
  s.condition_count,
  s.first_onset_date,
  s.last_recorded_date,
  r.resource_key as condition_key,
  r.clinical_status,
  r.verification_status,
  r.severity_code,
  r.severity_display,
  r.encounter_key
from problem r
join summary s on s.problem_key = r.problem_key
left join patient p on p.resource_key = r.patient_key
where r.place = 1
