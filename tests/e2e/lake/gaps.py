"""Columns of views that have no value in the sample of these tests, and why: the view is for what others send."""

from __future__ import annotations

from collections.abc import Mapping

_NOT_GENERATED: Mapping[str, str] = {
    # clinosim writes no such element, or (few patients) not for these ten.
    "allergy_intolerance": "onset_date onset_text recorded_at last_occurrence_date last_occurrence_text asserter_key",
    "care_team": "category_system category_code category_display reason_system reason_code reason_display"
    " reason_condition_key",
    "care_team_participant": "practitioner_role_key organization_key on_behalf_of_key start_date start_text end_date"
    " end_text",
    "coverage": "type_system type_code type_display policy_holder_key payor_name started_at ended_at"
    " plan_value plan_name network cost_order",
    "device": "device_name manufacturer model_number lot_number serial_number distinct_identifier"
    " udi_device_identifier udi_carrier manufacture_date manufacture_text expiration_date"
    " expiration_text location_key part_of_key",
    "diagnostic_report": "effective_start_at effective_start_text effective_end_at effective_end_text"
    " organization_key specimen_key form_url",
    "document_reference": "content_url replaces_key",
    "imaging_study": "reason_system reason_code reason_display reason_condition_key referrer_key interpreter_key"
    " location_key",
    "immunization": "occurrence_at occurrence_string expiration_date expiration_text series_doses location_key"
    " organization_key",
    "location": "description mode identifier_system identifier_value phone address_line city state"
    " postal_code country latitude longitude",
    "medication_administration": "status_reason_system status_reason_code status_reason_display medication_key"
    " effective_start_at effective_start_text effective_end_at effective_end_text reason_display"
    " device_key rate rate_unit rate_unit_code",
    "medication_request": "status_reason_system status_reason_code status_reason_display do_not_perform medication_key"
    " reason_system reason_code reason_display reason_text validity_end_text dispense_quantity"
    " dispense_quantity_unit dispense_quantity_unit_code prior_prescription_key",
    "observation": "effective_start_at effective_end_at value_comparator value_text value_boolean"
    " value_date_time_text absent_reason_code effective_instant_at value_time value_range_low"
    " value_range_high value_range_unit_code value_ratio_numerator value_ratio_denominator"
    " value_period_start_text value_period_end_text value_sampled_data value_sampled_period"
    " method_system method_code method_display body_site_system body_site_code body_site_display"
    " device_key effective_start_text effective_end_text",
    "observation_component": "value_comparator value_code_system value_code value_code_display value_boolean"
    " value_integer value_date_time_text value_code_text value_time value_range_low"
    " value_range_high value_range_unit_code value_ratio_numerator value_ratio_denominator"
    " value_period_start_text value_period_end_text value_sampled_data value_sampled_period"
    " absent_reason_code",
    "organization": "type_text npi phone address_line city state postal_code country",
    "patient": "email practitioner_key organization_key",
    "patient_address": "address_text line_2 district start_date start_text end_date end_text",
    "patient_name": "name_text prefix suffix start_date start_text end_date end_text",
    "patient_telecom": "rank start_date start_text end_date end_text",
    "practitioner": "npi city state postal_code country",
    "practitioner_role": "end_date end_text phone email",
    "procedure": "body_site_system body_site_code body_site_display location_key order_key",
    "service_request": "do_not_perform occurrence_start_at occurrence_start_text occurrence_end_at"
    " occurrence_end_text performer_organization_key reason_system reason_code reason_display"
    " reason_condition_key specimen_key based_on_key replaces_key",
    "specimen": "accession_value received_at received_text collected_start_at collected_start_text"
    " collected_end_at collected_end_text collector_key quantity quantity_unit"
    " quantity_unit_code method_system method_code method_display method_text body_site_system"
    " body_site_code body_site_display body_site_text order_key parent_key",
}
_NOT_ADDED: Mapping[str, str] = {
    # `local.sample` leaves them out: it gives one kind of each choice, and no optional detail.
    "care_plan": "part_of_key replaces_key",
    "claim": "sub_type_system sub_type_code sub_type_display provider_key prescription_key"
    " diagnosis_code_system diagnosis_code diagnosis_display",
    "claim_line": "revenue_system revenue_code revenue_display serviced_start_text serviced_end_text"
    " location_key quantity_unit quantity_unit_code",
    "explanation_of_benefit": "sub_type_system sub_type_code sub_type_display created_at provider_key"
    " diagnosis_code_system diagnosis_code diagnosis_display",
    "explanation_of_benefit_line": "revenue_system revenue_code revenue_display serviced_start_text serviced_end_text"
    " location_key quantity_unit quantity_unit_code deductible_amount deductible_currency",
    "medication_dispense": "medication_key location_key as_needed",
    "medication_statement": "medication_system medication_code medication_display medication_text effective_date"
    " effective_at effective_text taken_started_at taken_ended_at taken_end_date taken_end_text"
    " reason_system reason_code reason_display reason_text request_key",
    "questionnaire_response": "source_practitioner_key order_key",
    "questionnaire_response_answer": "value_text value_decimal value_date_text value_date_time_text value_time value_uri"
    " value_reference",
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
