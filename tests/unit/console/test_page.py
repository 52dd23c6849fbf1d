"""The console's page: its modules in Node, and what its policy and its readers ask of the markup."""

from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

from infra.node import use_packaged_node
from tests.conftest import PATIENCE

PAGE = Path(__file__).parents[3] / "console"
TESTS = sorted(Path(__file__).parent.glob("*.test.js"))


class Markup(HTMLParser):
    """Every element's tag and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed((PAGE / "index.html").read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def test_the_modules_tests_pass_in_node() -> None:
    node = use_packaged_node() / "node"
    ran = subprocess.run(
        [str(node), "--test", "--test-reporter=tap", *map(str, TESTS)],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    passed = re.search(r"^# pass (\d+)$", ran.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) >= len(TESTS) > 0


def test_the_page_runs_nothing_that_its_policy_refuses() -> None:
    for tag, attributes in Markup().elements:
        assert tag != "style", "styles are in console.css"
        assert "style" not in attributes, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        if tag == "script":
            assert (PAGE / str(attributes["src"])).is_file()
    for module in PAGE.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(", module.read_text()), module


def test_every_field_has_a_label_and_every_region_a_name() -> None:
    elements = Markup().elements
    ids = {attributes.get("id") for _, attributes in elements}
    labelled = {attributes.get("for") for tag, attributes in elements if tag == "label"}
    for tag, attributes in elements:
        if tag in ("input", "select"):
            assert attributes["id"] in labelled, attributes
        if tag in ("section", "nav") or attributes.get("role") in ("region", "log"):
            assert attributes.get("aria-labelledby") in ids or attributes.get("aria-label"), attributes


def test_modules_find_every_element_that_they_look_for() -> None:
    ids = {attributes.get("id") for _, attributes in Markup().elements}
    sought = set(re.findall(r'\$\("([a-z-]+)"\)', (PAGE / "console.js").read_text()))
    assert sought
    assert sought <= ids


def _colours(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", text))


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_has_the_contrast_of_wcag_aa_in_light_and_dark() -> None:
    css = (PAGE / "console.css").read_text(encoding="utf-8")
    light, dark = css.split("prefers-color-scheme: dark", 1)
    pairs = [
        ("text", "back"),
        ("text", "card"),
        ("soft", "card"),
        ("accent", "card"),
        ("on-accent", "accent"),
    ]
    pairs += [(kind, f"{kind}-back") for kind in ("good", "bad", "busy", "none")]
    for colours in (_colours(light), _colours(dark)):
        for front, back in pairs:
            one, other = sorted((_luminance(colours[front]), _luminance(colours[back])))
            assert (other + 0.05) / (one + 0.05) >= 4.5, (front, back)
