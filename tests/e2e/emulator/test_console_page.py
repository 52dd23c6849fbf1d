"""The console's page in a browser, before the deployed stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from local.console.first_engineer import SignIn, first_engineer
from local.console.server import ConsoleServer
from tests.e2e.emulator.conftest import Deployed
from tests.e2e.emulator.signed_in import PASSWORD, app_code, second_factor, sign_in
from tests.e2e.pages import Screen, enter, faults, overflow, serving, settled, turn

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def console(deployed: Deployed) -> Iterator[ConsoleServer]:
    with serving(deployed.outputs, deployed.emulator.endpoint) as server:
        yield server


@pytest.fixture
def who(deployed: Deployed) -> SignIn:
    return first_engineer(deployed.emulator.client("cognito-idp"), deployed.outputs["UserPoolId"])


@pytest.fixture
def analyst_sign_in(deployed: Deployed) -> SignIn:
    sign_in(deployed, "page-analyst", "analyst")
    return SignIn("page-analyst", PASSWORD)


@pytest.fixture
def quarantined(deployed: Deployed) -> Iterator[None]:
    s3, bucket = deployed.emulator.client("s3"), deployed.outputs["LandingBucket"]
    keys = [f"quarantine/source=fhir/reason=not_json/date=2026-01-3{n}/x.ndjson.gz" for n in (0, 1)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"{")
    yield
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)


def test_the_keyboard_is_enough_to_sign_in_and_out(
    console: ConsoleServer, screen: Screen, who: SignIn
) -> None:
    page = screen.open(console.url)
    expect(page.get_by_label("Name or e-mail")).to_be_focused()
    page.keyboard.type(who.name)
    page.keyboard.press("Tab")
    page.keyboard.type(who.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("Live")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name or e-mail")).to_be_focused()
    expect(page.get_by_role("heading", name="Tables")).to_be_hidden()


def test_a_wrong_password_is_said_and_does_not_stay(
    console: ConsoleServer, screen: Screen, who: SignIn
) -> None:
    page = screen.open(console.url)
    page.get_by_label("Name or e-mail").fill(who.name)
    page.get_by_label("Password").fill("Not-the-passw0rd")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("ncorrect")
    page.get_by_label("Password").fill("")
    enter(page, who)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_whoever_was_invited_chooses_a_password_first(
    console: ConsoleServer, screen: Screen, deployed: Deployed
) -> None:
    cognito, pool = deployed.emulator.client("cognito-idp"), deployed.outputs["UserPoolId"]
    cognito.admin_create_user(
        UserPoolId=pool, Username="invited", TemporaryPassword="Sent-by-m4il-once", MessageAction="SUPPRESS"
    )
    cognito.admin_add_user_to_group(UserPoolId=pool, Username="invited", GroupName="analyst")
    page = screen.open(console.url)
    page.get_by_label("Name or e-mail").fill("invited")
    page.get_by_label("Password").fill("Sent-by-m4il-once")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("A new password")).to_be_focused()
    assert faults(page) == []
    page.get_by_label("A new password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("status")).to_have_text("Live")


def test_whoever_has_an_authenticator_app_is_asked_for_its_code(
    console: ConsoleServer, screen: Screen, deployed: Deployed
) -> None:
    with second_factor(deployed, "page-two-factors") as secret:
        page = screen.open(console.url)
        page.get_by_label("Name or e-mail").fill("page-two-factors")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        code = page.get_by_label("The code of your authenticator app")
        expect(code).to_be_focused()
        code.fill(f"{(int(app_code(secret)) + 1) % 10**6:06}")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("alert")).to_be_visible()
        code.fill(app_code(secret))
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("status")).to_have_text("Live")


def test_one_without_a_group_is_told_so(
    console: ConsoleServer, screen: Screen, deployed: Deployed, nobody: str
) -> None:
    page = screen.open(console.url)
    page.get_by_label("Name or e-mail").fill("test-nobody")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Ask an engineer to admit you")


def test_an_analyst_sees_what_there_is_and_no_button_that_starts(
    console: ConsoleServer, screen: Screen, analyst_sign_in: SignIn
) -> None:
    page = screen.open(console.url)
    # Of an export that another test started there may be tables.
    page.route("**/api/tables", lambda route: route.fulfill(json=_tables()))
    enter(page, analyst_sign_in)
    for name in ("At a glance", "Exports", "As it happens", "Runs", "Quarantine", "Tables"):
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.get_by_text("There are no tables yet")).to_be_visible()
    expect(page.get_by_text("Nothing is in quarantine.")).to_be_visible()
    expect(page.get_by_role("button", name="Start an export")).to_be_hidden()
    expect(page.get_by_role("button", name="Start a run")).to_be_hidden()


def test_an_export_that_is_started_is_watched_to_its_end_over_the_socket(
    console: ConsoleServer, screen: Screen, who: SignIn
) -> None:
    page = screen.open(console.url)
    enter(page, who)
    page.get_by_label("What to export").select_option("full")
    page.get_by_label("Why (no patient data)").fill('it\'s "due" – <b>now</b>')
    page.get_by_role("button", name="Start an export").click()
    log = page.get_by_role("log")
    expect(log).to_contain_text("started")
    expect(log).to_contain_text("succeeded")
    listed = page.get_by_role("group", name="Exports").get_by_role("row").nth(1)
    expect(listed).to_contain_text("succeeded")
    expect(page.get_by_label("Why (no patient data)")).to_have_value("")


def test_the_quarantine_is_shown_by_reason(
    console: ConsoleServer, screen: Screen, who: SignIn, quarantined: None
) -> None:
    page = screen.open(console.url)
    enter(page, who)
    row = page.get_by_role("group", name="Quarantine").get_by_role("row", name="not json")
    expect(row.get_by_role("cell").nth(1)).to_have_text("2")


def test_a_list_that_could_not_be_fetched_is_asked_for_again(
    console: ConsoleServer, screen: Screen, who: SignIn
) -> None:
    page = screen.open(console.url)
    refusal = {"message": "What is behind the API is not available", "code": "x", "request_id": "r-1"}

    def refuse(route: Route) -> None:
        route.fulfill(status=502, json=refusal)

    page.route("**/api/tables", refuse)
    enter(page, who)
    expect(page.get_by_role("alert")).to_contain_text("not available (request r-1)")
    tables = page.get_by_role("group", name="Tables")
    expect(tables.get_by_text("not available")).to_be_visible()
    # Held before it is let through: the page also asks by itself from time to time, and then the button goes.
    again = tables.get_by_role("button", name="Ask again").element_handle()
    page.unroute("**/api/tables")
    page.route("**/api/tables", lambda route: route.fulfill(json=_tables()))
    again.dispatch_event("click")
    expect(tables.get_by_text("There are no tables yet")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


_OVER = "You were signed out. Sign in again."


def test_a_session_that_is_over_asks_to_sign_in_again(
    console: ConsoleServer, screen: Screen, who: SignIn
) -> None:
    page = screen.open(console.url)
    enter(page, who)

    def refuse_to_start(route: Route) -> None:
        # The page also asks by itself what there is: refused that, it would be signed out before the click.
        if route.request.method == "POST":
            route.fulfill(status=401, json={"message": "Unauthorized"})
        else:
            route.continue_()

    page.route("**/api/exports", refuse_to_start)
    page.get_by_role("button", name="Start an export").click()
    expect(page.get_by_role("alert")).to_have_text(_OVER)
    expect(page.get_by_label("Name or e-mail")).to_be_visible()


def test_what_is_refused_after_the_session_was_over_adds_nothing(
    console: ConsoleServer, screen: Screen, who: SignIn
) -> None:
    page = screen.open(console.url)
    page.clock.install()
    enter(page, who)
    held: list[Route] = []

    def hold_or_refuse(route: Route) -> None:
        if route.request.method == "POST":
            held.append(route)
        else:
            route.fulfill(status=401, json={"message": "Unauthorized"})

    page.route("**/api/exports", hold_or_refuse)
    with page.expect_request(lambda request: request.method == "POST"):
        page.get_by_role("button", name="Start an export").click()
    page.clock.fast_forward(60_000)  # by when the page has asked by itself what there is
    expect(page.get_by_role("alert")).to_have_text(_OVER)
    with page.expect_event("requestfinished", lambda request: request.url.endswith("/api/exports")):
        held[0].fulfill(status=401, json={"message": "Unauthorized"})
    turn(page)
    assert page.get_by_role("alert").inner_text() == _OVER


def test_an_answer_that_a_newer_one_overtook_is_not_shown(
    console: ConsoleServer, screen: Screen, who: SignIn
) -> None:
    page = screen.open(console.url)
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.fulfill(json=_tables("curated.newer"))
        else:
            held.append(route)

    page.route("**/api/tables", hold_the_first)
    enter(page, who)
    tables = page.get_by_role("group", name="Tables")
    expect(tables).to_contain_text("newer")
    with page.expect_event("requestfinished", lambda request: request.url.endswith("/api/tables")):
        held[0].fulfill(json=_tables("curated.older"))
    turn(page)
    assert "older" not in tables.inner_text()


def _tables(*names: str) -> dict[str, Any]:
    return {"tables": [{"table": name, "rows": 7, "published_at": 1_700_000_000} for name in names]}


def test_somebody_is_admitted_and_disabled_by_an_engineer_alone(
    console: ConsoleServer, screen: Screen, who: SignIn, analyst_sign_in: SignIn
) -> None:
    page = screen.open(console.url)
    enter(page, who)
    page.get_by_label("Whom to admit").fill('Dr. "Ü" O\'Page')
    page.get_by_label("E-mail, for the invitation").fill("page@example.org")
    page.get_by_role("button", name="Admit").click()
    said = page.locator("#people-said")
    expect(said).to_contain_text('Dr. "Ü" O\'Page is number')
    number = said.inner_text().partition("is number ")[2].partition(";")[0]
    page.get_by_label("Whose access ends, by number").fill(number)
    page.get_by_role("button", name="Disable").click()
    expect(said).to_contain_text(f"Number {number} is disabled")
    page.get_by_label("Whose access ends, by number").fill("987654")
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no analyst of this number")
    other = screen.open(console.url)
    enter(other, analyst_sign_in)
    expect(other.get_by_role("heading", name="People")).to_be_hidden()


_MANY: dict[str, Any] = {
    "tables": [
        {
            "table": f"curated.{'long_' * 9}table_{n}",
            "rows": 10**n,
            "published_at": 1_700_000_000,
            "failed_at": 1,
        }
        for n in range(3)
    ]
}


@pytest.mark.parametrize(("dark", "phone"), [(False, False), (True, False), (False, True)])
def test_everybody_can_use_it_in_light_and_dark_and_on_a_phone(
    console: ConsoleServer, screen: Screen, who: SignIn, quarantined: None, dark: bool, phone: bool
) -> None:
    page = screen.open(console.url, dark=dark, phone=phone)
    assert (faults(page), overflow(page)) == ([], 0)
    page.route("**/api/tables", lambda route: route.fulfill(json=_MANY))
    enter(page, who)
    _open_a_run(page)
    assert (faults(page), overflow(page)) == ([], 0)
    page.set_viewport_size({"width": 320, "height": 640})  # what WCAG's reflow asks for
    assert overflow(page) == 0


def _open_a_run(page: Page) -> None:
    runs = page.locator("#runs summary")
    if runs.count():
        runs.first.click()
    settled(page)


def test_the_tables_of_the_de_identified_twin_stand_after_those_they_are_made_from(
    console: ConsoleServer, screen: Screen, who: SignIn
) -> None:
    named = ("conformed.patient", "curated.patient", "curated_deid.patient")
    page = screen.open(console.url)
    page.route("**/api/tables", lambda route: route.fulfill(json=_tables(*named)))
    enter(page, who)
    rows = page.get_by_role("group", name="Tables").get_by_role("row")
    expect(rows).to_contain_text(
        ["Table", "curated (1)", named[1], "curated_deid (1)", named[2], "conformed (1)", named[0]]
    )
    expect(rows.filter(has_text=named[2])).to_contain_text("passed")
    expect(rows.filter(has_text=named[0])).not_to_contain_text("passed")


def test_a_table_is_found_by_a_part_of_its_name(console: ConsoleServer, screen: Screen, who: SignIn) -> None:
    page = screen.open(console.url)
    page.route("**/api/tables", lambda route: route.fulfill(json=_MANY))
    enter(page, who)
    tables = page.get_by_role("group", name="Tables")
    page.get_by_label("Find a table").fill("Table_2")
    expect(tables.get_by_role("row")).to_have_count(3)  # of the head, the zone and the table
    page.get_by_label("Find a table").fill("nothing like it")
    expect(tables).to_contain_text("No table has “nothing like it” in its name.")
