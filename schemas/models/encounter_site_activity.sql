-- Every encounter, with the site readings of its patient from a day before its start to a day after its end.
-- A reading belongs to each encounter whose window it falls in.
with visit as (
  select
    e.resource_key,
    e.id,
    e.patient_key,
    p.id as patient_id,
    e.status,
    e.class_code,
    e.started_at,
    e.ended_at,
    coalesce(e.started_at, cast(e.start_date as timestamp)) as begun_at,
    -- Where only the days are known, from the beginning of the first to the end of the last.
    coalesce(e.started_at, cast(e.start_date as timestamp)) - interval 1 day as window_start,
    coalesce(
      e.ended_at,
      cast(e.end_date as timestamp) + interval 1 day,
      e.started_at,
      cast(e.start_date as timestamp) + interval 1 day
    ) + interval 1 day as window_end
  from encounter e
  left join patient p on p.resource_key = e.patient_key
),

reading as (
  select
    v.resource_key,
    count(*) as site_activity_count,
    count(distinct a.site_id) as site_count,
    min(a.created_at_time) as first_site_activity_at,
    max(a.created_at_time) as last_site_activity_at,
    count_if(a.created_at_time < v.begun_at) as count_before_start,
    cast(sum(a.value_one) / count(a.value_one) as decimal(38,6)) as value_one_average,
    cast(sum(a.value_two) / count(a.value_two) as decimal(38,6)) as value_two_average
  from visit v
  join site_activity a
    on a.patient_id = v.patient_id and a.created_at_time between v.window_start and v.window_end
  group by v.resource_key
)

select
  v.resource_key as encounter_key,
  v.id as encounter_id,
  v.patient_key,
  v.patient_id,
  v.status,
  v.class_code,
  v.started_at,
  v.ended_at,
  v.window_start,
  v.window_end,
  coalesce(r.site_activity_count, 0) as site_activity_count,
  coalesce(r.site_count, 0) as site_count,
  coalesce(r.count_before_start, 0) as count_before_start,
  r.first_site_activity_at,
  r.last_site_activity_at,
  r.value_one_average,
  r.value_two_average
from visit v
left join reading r on r.resource_key = v.resource_key
