"""Columns of views that have no value in the sample of these tests, and why: the view is for what others send."""

from __future__ import annotations

from collections.abc import Mapping

_NOT_GENERATED: Mapping[str, str] = {
    # clinosim writes no such element and `local.sample.details` adds none, or (few patients) not for these ten.
    "allergy_intolerance": "recorded_at",
    "care_team_participant": "practitioner_role_key organization_key",
    "coverage": "started_at ended_at",
    "device": "location_key part_of_key",
    "diagnostic_report": "effective_start_at effective_start_date effective_start_text effective_end_at"
    " effective_end_date effective_end_text specimen_key form_url",
    "document_reference": "replaces_key",
    "immunization": "occurrence_at occurrence_string",
    "medication_administration": "status_reason_system status_reason_code status_reason_display medication_key"
    " effective_start_at effective_start_date effective_start_text effective_end_at"
    " effective_end_date effective_end_text reason_display device_key rate rate_unit"
    " rate_unit_code",
    "medication_request": "status_reason_system status_reason_code status_reason_display do_not_perform"
    " medication_key prior_prescription_key",
    "observation": "effective_start_at effective_end_at value_comparator value_text value_boolean value_date"
    " value_at value_date_time_text absent_reason_system absent_reason_code"
    " absent_reason_display effective_instant_at value_time value_range_low value_range_high"
    " value_range_unit_code value_ratio_numerator value_ratio_denominator"
    " value_period_start_text value_period_end_text value_sampled_data value_sampled_period"
    " method_system method_code method_display body_site_system body_site_code body_site_display"
    " device_key effective_start_date effective_start_text effective_end_date effective_end_text",
    "observation_component": "effective_instant_at effective_start_at effective_start_date"
    " effective_start_text effective_end_at effective_end_date effective_end_text issued_at"
    " value_comparator value_code_system value_code value_code_display value_boolean"
    " value_integer value_date value_at value_date_time_text value_code_text value_time"
    " value_range_low value_range_high value_range_unit_code value_ratio_numerator"
    " value_ratio_denominator value_period_start_text value_period_end_text value_sampled_data"
    " value_sampled_period absent_reason_system absent_reason_code absent_reason_display",
    "patient_address": "start_date start_text end_date end_text",
    "patient_name": "suffix start_date start_text end_date end_text",
    "patient_telecom": "start_date start_text end_date end_text",
    "procedure": "body_site_system body_site_code body_site_display location_key order_key",
    "service_request": "do_not_perform occurrence_start_at occurrence_start_date occurrence_start_text"
    " occurrence_end_at occurrence_end_date occurrence_end_text specimen_key based_on_key"
    " replaces_key",
    "specimen": "received_at received_date received_text collected_start_at collected_start_date"
    " collected_start_text collected_end_at collected_end_date collected_end_text order_key"
    " parent_key",
}
_NOT_ADDED: Mapping[str, str] = {
    # `local.sample` leaves them out: it gives one kind of each choice, and no optional detail.
    "care_plan": "part_of_key replaces_key",
    "claim": "sub_type_system sub_type_code sub_type_display provider_key prescription_key"
    " diagnosis_code_system diagnosis_code diagnosis_display",
    "claim_line": "revenue_system revenue_code revenue_display serviced_start_date serviced_start_text"
    " serviced_end_date serviced_end_text location_key quantity_unit quantity_unit_code",
    "explanation_of_benefit": "sub_type_system sub_type_code sub_type_display created_at provider_key"
    " diagnosis_code_system diagnosis_code diagnosis_display",
    "explanation_of_benefit_line": "revenue_system revenue_code revenue_display serviced_start_date serviced_start_text"
    " serviced_end_date serviced_end_text location_key quantity_unit quantity_unit_code"
    " deductible_amount deductible_currency",
    "medication_dispense": "medication_key location_key as_needed",
    "medication_statement": "medication_system medication_code medication_display medication_text effective_date"
    " effective_at effective_text taken_started_at taken_ended_at taken_end_date taken_end_text"
    " reason_system reason_code reason_display reason_text request_key",
    "questionnaire_response": "source_practitioner_key order_key",
    "questionnaire_response_answer": "value_text value_decimal value_date value_date_text value_date_time_text value_time"
    " value_uri value_reference",
}
WITHOUT_VALUE = {
    f"{table}.{column}"
    for reason in (_NOT_GENERATED, _NOT_ADDED)
    for table, columns in reason.items()
    for column in columns.split()
}
MODELS_MAY_LACK = {"active_problem_list.encounter_key", "current_medications.last_dispensed_at"}
"""A problem list is of no encounter; whether a dispense of these ten is of an active order is up to chance."""
OF_FEW_PATIENTS = ("latest_vitals_and_labs", "encounter_timeline")
"""Models whose columns are each of one test, or of what came before: too few patients to fill all."""
