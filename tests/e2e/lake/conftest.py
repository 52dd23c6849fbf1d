"""A whole lake on the emulator, deployed once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.commands.lifecycle import deploy_stack, start_stack
from local.commands.sample import load_population, seed_sources
from local.stack import Stack
from local.state import State
from local.terminal import Terminal

PATIENTS = 10
SEED = 7


@pytest.fixture(scope="session")
def quiet() -> Terminal:
    return Terminal(as_json=True)


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory, quiet: Terminal) -> Iterator[Stack]:
    """Up, deployed, and seeded with ten patients and their items; no export has run."""
    stack = Stack(State(tmp_path_factory.mktemp("lake") / ".watershed"))
    try:
        start_stack(stack, quiet)
        deploy_stack(stack, quiet)
        population = load_population(stack, PATIENTS, SEED)
        seed_sources(stack, quiet, population, PATIENTS, SEED)
        yield stack
    finally:
        stack.stop()
