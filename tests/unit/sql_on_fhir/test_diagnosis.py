"""What is wrong with a line is said with its resource and element, and never with what it holds."""

from __future__ import annotations

import json

import pytest

from glue_jobs.sql_on_fhir import compile_views
from glue_jobs.sql_on_fhir.diagnosis import Problem, diagnose

NEEDS = compile_views(
    [
        {
            "resource": "Observation",
            "select": [
                {
                    "column": [
                        {"name": "value", "path": "value.ofType(Quantity).value"},
                        {"name": "large", "path": "extension.value.ofType(integer64)", "collection": True},
                        {"name": "ward", "path": "contained.ofType(Organization).name", "collection": True},
                    ]
                }
            ],
        }
    ]
).needs


def line(**elements: object) -> str:
    return json.dumps({"resourceType": "Observation", "id": "o", **elements})


def reasons(text: str, **flags: bool) -> list[tuple[str, str]]:
    return [(problem.element, problem.reason) for problem in diagnose(text, NEEDS, **flags)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t",
        line(),
        line(valueQuantity={"value": 1.5}),
        line(valueQuantity={"value": 1}),
        line(valueQuantity=None),
        line(extension=[{"valueInteger64": "9007199254740993"}, {"valueInteger64": 5}]),
        line(contained=[{"resourceType": "Practitioner", "name": [{"family": "x"}]}]),
        line(unknown={"value": "x"}),
        '{"resourceType": "Patient", "active": 5}',
    ],
)
def test_good_lines_have_no_problems(text: str) -> None:
    assert diagnose(text, NEEDS) == []


@pytest.mark.parametrize(
    ("text", "element", "reason"),
    [
        (line(valueQuantity={"value": "1.5"}), "valueQuantity.value", "a string where a number belongs"),
        (line(valueQuantity={"value": True}), "valueQuantity.value", "a boolean where a number belongs"),
        (line(valueQuantity=[{"value": 1}]), "valueQuantity", "an array where an object belongs"),
        (line(extension={"url": "x"}), "extension", "an object where an array belongs"),
        (line(extension=[[]]), "extension[0]", "an array where an object belongs"),
        (
            line(extension=[{"valueInteger64": 1.5}]),
            "extension[0].valueInteger64",
            "a number where a string belongs",
        ),
        (
            line(contained=[None, {"resourceType": "Organization", "name": ["x"]}]),
            "contained[1].name",
            "an array where a string belongs",
        ),
    ],
)
def test_elements_are_named_with_what_is_wrong(text: str, element: str, reason: str) -> None:
    assert diagnose(text, NEEDS) == [Problem("Observation", "o", f"Observation.{element}", reason)]


def test_numbers_that_json_does_not_have() -> None:
    assert reasons('{"resourceType": "Observation", "valueQuantity": {"value": NaN}}') == [("", "not JSON")]


def test_what_the_text_does_not_show() -> None:
    assert reasons(line(), broken=True) == [("", "bytes that are not UTF-8")]
    assert reasons("{", broken=True) == [("", "bytes that are not UTF-8"), ("", "not JSON at character 1")]
    assert [element for element, _ in reasons(line(), unread=True)] == [""]
    assert reasons("\ufeff" + line()) == [("", "a byte order mark before the resource")]


def test_values_are_never_quoted() -> None:
    secret = '{"resourceType": "Observation", "id": "o", "valueQuantity": {"value": "secret", "value": ["secret"]}}'
    assert len(diagnose(secret, NEEDS)) == 2
    assert "secret" not in str(diagnose(secret, NEEDS))


def test_what_a_repeat_goes_through_is_diagnosed_at_any_depth() -> None:
    view = {
        "resource": "Questionnaire",
        "select": [{"repeat": ["item"], "column": [{"name": "l", "path": "linkId"}]}],
    }
    depth = 490
    above = '{"linkId": "1", "item": [' * (depth - 1)
    item = above + '{"linkId": 5, "item": ["text"]}' + "]}" * (depth - 1)
    text = f'{{"resourceType": "Questionnaire", "item": [{item}]}}'
    place = "Questionnaire" + ".item[0]" * depth
    assert [(p.element, p.reason) for p in diagnose(text, compile_views([view]).needs)] == [
        (f"{place}.item[0]", "a string where an object belongs"),
        (f"{place}.linkId", "a number where a string belongs"),
    ]
