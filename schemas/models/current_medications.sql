-- What each patient is on now: active orders that are to be carried out, and active statements.
with medication_use as (
  select
    concat('MedicationRequest/', resource_key) as medication_use_key,
    'order' as source,
    resource_key as source_key,
    patient_key,
    category_code,
    medication_system,
    medication_code,
    coalesce(medication_display, medication_text) as medication_name,
    medication_key,
    dosage_text,
    dose,
    dose_unit,
    coalesce(route_display, route_text) as route,
    frequency,
    frequency_period,
    frequency_period_unit,
    as_needed,
    coalesce(reason_display, reason_text) as reason,
    reason_condition_key,
    authored_date as since_date,
    requester_key as prescriber_key
  from medication_request
  where status = 'active'
    and intent in ('order', 'original-order', 'reflex-order', 'filler-order', 'instance-order')
    and not coalesce(do_not_perform, false)
  union all
  select
    concat('MedicationStatement/', resource_key),
    'statement',
    resource_key,
    patient_key,
    category_code,
    medication_system,
    medication_code,
    coalesce(medication_display, medication_text),
    medication_key,
    dosage_text,
    dose,
    dose_unit,
    coalesce(route_display, route_text),
    frequency,
    frequency_period,
    frequency_period_unit,
    as_needed,
    coalesce(reason_display, reason_text),
    reason_condition_key,
    coalesce(effective_date, taken_start_date),
    cast(null as string)
  from medication_statement
  where status = 'active'
),

given as (
  select
    request_key,
    count(*) as administration_count,
    max(coalesce(effective_at, effective_end_at, effective_start_at)) as last_administered_at
  from medication_administration
  where status in ('completed', 'in-progress')
  group by request_key
),

dispensed as (
  select request_key, count(*) as dispense_count, max(coalesce(handed_over_at, prepared_at)) as last_dispensed_at
  from medication_dispense
  where status = 'completed'
  group by request_key
)

select
  u.medication_use_key,
  u.source,
  u.source_key,
  u.patient_key,
  p.id as patient_id,
  u.category_code,
  coalesce(u.medication_system, m.code_system) as medication_system,
  coalesce(u.medication_code, m.code) as medication_code,
  coalesce(u.medication_name, m.code_display, m.code_text) as medication_name,
  u.dosage_text,
  u.dose,
  u.dose_unit,
  u.route,
  u.frequency,
  u.frequency_period,
  u.frequency_period_unit,
  u.as_needed,
  coalesce(u.reason, c.code_display, c.code_text) as reason,
  u.since_date,
  u.prescriber_key,
  nullif(concat_ws(' ', d.prefix, d.given_name, d.family_name), '') as prescriber_name,
  coalesce(g.administration_count, 0) as administration_count,
  g.last_administered_at,
  coalesce(s.dispense_count, 0) as dispense_count,
  s.last_dispensed_at
from medication_use u
left join patient p on p.resource_key = u.patient_key
left join medication m on m.resource_key = u.medication_key
left join condition c on c.resource_key = u.reason_condition_key
left join practitioner d on d.resource_key = u.prescriber_key
left join given g on u.source = 'order' and g.request_key = u.source_key
left join dispensed s on u.source = 'order' and s.request_key = u.source_key
