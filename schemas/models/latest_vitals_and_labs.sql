-- The latest value of each vital sign and laboratory test that people ask for, one row per patient.
with result as (
  select
    patient_key,
    status,
    code,
    code_system,
    coalesce(effective_at, effective_instant_at, effective_start_at, cast(effective_date as timestamp), issued_at) as at,
    resource_key,
    0 as part,
    value_quantity,
    coalesce(value_unit_code, value_unit) as unit
  from observation
  union all
  -- The pressures are components of one observation.
  select
    patient_key,
    status,
    code,
    code_system,
    coalesce(effective_at, effective_instant_at, effective_start_at, cast(effective_date as timestamp), issued_at),
    resource_key,
    position + 1,
    value_quantity,
    coalesce(value_unit_code, value_unit)
  from observation_component
),

-- The LOINC codes under which each measure comes.
known_code (code, measure) as (
  values
    ('8302-2', 'body_height'), ('8306-3', 'body_height'), ('8308-9', 'body_height'),
    ('29463-7', 'body_weight'), ('3141-9', 'body_weight'),
    ('39156-5', 'bmi'),
    ('8480-6', 'systolic_pressure'),
    ('8462-4', 'diastolic_pressure'),
    ('8867-4', 'heart_rate'),
    ('9279-1', 'respiratory_rate'),
    ('8310-5', 'body_temperature'), ('8331-1', 'body_temperature'),
    ('2708-6', 'oxygen_saturation'), ('59408-5', 'oxygen_saturation'),
    ('4548-4', 'hemoglobin_a1c'), ('17856-6', 'hemoglobin_a1c'),
    ('2345-7', 'glucose'), ('2339-0', 'glucose'),
    ('2160-0', 'creatinine'), ('38483-4', 'creatinine'),
    ('33914-3', 'egfr'), ('48642-3', 'egfr'), ('62238-1', 'egfr'), ('98979-8', 'egfr'),
    ('3094-0', 'urea_nitrogen'), ('6299-2', 'urea_nitrogen'),
    ('2951-2', 'sodium'), ('2947-0', 'sodium'),
    ('2823-3', 'potassium'), ('6298-4', 'potassium'),
    ('1742-6', 'alt'),
    ('1920-8', 'ast'),
    ('718-7', 'hemoglobin'),
    ('6690-2', 'leukocytes'),
    ('777-3', 'platelets'),
    ('1988-5', 'c_reactive_protein'),
    ('2093-3', 'total_cholesterol'),
    ('13457-7', 'ldl_cholesterol'), ('18262-6', 'ldl_cholesterol'), ('2089-1', 'ldl_cholesterol'),
    ('2085-9', 'hdl_cholesterol'),
    ('2571-8', 'triglycerides')
),

-- The greatest of these is the latest; the key settles what was measured at one moment.
measured as (
  select
    patient_key,
    measure,
    struct(at, resource_key, part, value_quantity as value, unit) as latest
  from result
  join known_code using (code)
  where code_system = 'http://loinc.org'
    and status in ('final', 'amended', 'corrected')
    and value_quantity is not null
    and at is not null
),

wide as (
  select
    patient_key,
    max(latest.at) as last_measured_at,
    max(latest) filter (where measure = 'body_height') as body_height,
    max(latest) filter (where measure = 'body_weight') as body_weight,
    max(latest) filter (where measure = 'bmi') as bmi,
    max(latest) filter (where measure = 'systolic_pressure') as systolic_pressure,
    max(latest) filter (where measure = 'diastolic_pressure') as diastolic_pressure,
    max(latest) filter (where measure = 'heart_rate') as heart_rate,
    max(latest) filter (where measure = 'respiratory_rate') as respiratory_rate,
    max(latest) filter (where measure = 'body_temperature') as body_temperature,
    max(latest) filter (where measure = 'oxygen_saturation') as oxygen_saturation,
    max(latest) filter (where measure = 'hemoglobin_a1c') as hemoglobin_a1c,
    max(latest) filter (where measure = 'glucose') as glucose,
    max(latest) filter (where measure = 'creatinine') as creatinine,
    max(latest) filter (where measure = 'egfr') as egfr,
    max(latest) filter (where measure = 'urea_nitrogen') as urea_nitrogen,
    max(latest) filter (where measure = 'sodium') as sodium,
    max(latest) filter (where measure = 'potassium') as potassium,
    max(latest) filter (where measure = 'alt') as alt,
    max(latest) filter (where measure = 'ast') as ast,
    max(latest) filter (where measure = 'hemoglobin') as hemoglobin,
    max(latest) filter (where measure = 'leukocytes') as leukocytes,
    max(latest) filter (where measure = 'platelets') as platelets,
    max(latest) filter (where measure = 'c_reactive_protein') as c_reactive_protein,
    max(latest) filter (where measure = 'total_cholesterol') as total_cholesterol,
    max(latest) filter (where measure = 'ldl_cholesterol') as ldl_cholesterol,
    max(latest) filter (where measure = 'hdl_cholesterol') as hdl_cholesterol,
    max(latest) filter (where measure = 'triglycerides') as triglycerides
  from measured
  group by patient_key
)

select
  p.resource_key as patient_key,
  p.id as patient_id,
  w.last_measured_at,
  w.body_height.value as body_height,
  w.body_height.unit as body_height_unit,
  w.body_height.at as body_height_at,
  w.body_weight.value as body_weight,
  w.body_weight.unit as body_weight_unit,
  w.body_weight.at as body_weight_at,
  w.bmi.value as bmi,
  w.bmi.unit as bmi_unit,
  w.bmi.at as bmi_at,
  w.systolic_pressure.value as systolic_pressure,
  w.systolic_pressure.unit as systolic_pressure_unit,
  w.systolic_pressure.at as systolic_pressure_at,
  w.diastolic_pressure.value as diastolic_pressure,
  w.diastolic_pressure.unit as diastolic_pressure_unit,
  w.diastolic_pressure.at as diastolic_pressure_at,
  w.heart_rate.value as heart_rate,
  w.heart_rate.unit as heart_rate_unit,
  w.heart_rate.at as heart_rate_at,
  w.respiratory_rate.value as respiratory_rate,
  w.respiratory_rate.unit as respiratory_rate_unit,
  w.respiratory_rate.at as respiratory_rate_at,
  w.body_temperature.value as body_temperature,
  w.body_temperature.unit as body_temperature_unit,
  w.body_temperature.at as body_temperature_at,
  w.oxygen_saturation.value as oxygen_saturation,
  w.oxygen_saturation.unit as oxygen_saturation_unit,
  w.oxygen_saturation.at as oxygen_saturation_at,
  w.hemoglobin_a1c.value as hemoglobin_a1c,
  w.hemoglobin_a1c.unit as hemoglobin_a1c_unit,
  w.hemoglobin_a1c.at as hemoglobin_a1c_at,
  w.glucose.value as glucose,
  w.glucose.unit as glucose_unit,
  w.glucose.at as glucose_at,
  w.creatinine.value as creatinine,
  w.creatinine.unit as creatinine_unit,
  w.creatinine.at as creatinine_at,
  w.egfr.value as egfr,
  w.egfr.unit as egfr_unit,
  w.egfr.at as egfr_at,
  w.urea_nitrogen.value as urea_nitrogen,
  w.urea_nitrogen.unit as urea_nitrogen_unit,
  w.urea_nitrogen.at as urea_nitrogen_at,
  w.sodium.value as sodium,
  w.sodium.unit as sodium_unit,
  w.sodium.at as sodium_at,
  w.potassium.value as potassium,
  w.potassium.unit as potassium_unit,
  w.potassium.at as potassium_at,
  w.alt.value as alt,
  w.alt.unit as alt_unit,
  w.alt.at as alt_at,
  w.ast.value as ast,
  w.ast.unit as ast_unit,
  w.ast.at as ast_at,
  w.hemoglobin.value as hemoglobin,
  w.hemoglobin.unit as hemoglobin_unit,
  w.hemoglobin.at as hemoglobin_at,
  w.leukocytes.value as leukocytes,
  w.leukocytes.unit as leukocytes_unit,
  w.leukocytes.at as leukocytes_at,
  w.platelets.value as platelets,
  w.platelets.unit as platelets_unit,
  w.platelets.at as platelets_at,
  w.c_reactive_protein.value as c_reactive_protein,
  w.c_reactive_protein.unit as c_reactive_protein_unit,
  w.c_reactive_protein.at as c_reactive_protein_at,
  w.total_cholesterol.value as total_cholesterol,
  w.total_cholesterol.unit as total_cholesterol_unit,
  w.total_cholesterol.at as total_cholesterol_at,
  w.ldl_cholesterol.value as ldl_cholesterol,
  w.ldl_cholesterol.unit as ldl_cholesterol_unit,
  w.ldl_cholesterol.at as ldl_cholesterol_at,
  w.hdl_cholesterol.value as hdl_cholesterol,
  w.hdl_cholesterol.unit as hdl_cholesterol_unit,
  w.hdl_cholesterol.at as hdl_cholesterol_at,
  w.triglycerides.value as triglycerides,
  w.triglycerides.unit as triglycerides_unit,
  w.triglycerides.at as triglycerides_at
from patient p
left join wide w on w.patient_key = p.resource_key
