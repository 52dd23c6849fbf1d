"""Random rounds of life at both sources, from a seed: made to collide, move and vanish."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tests.spark.curate.world import World, encounter, home, patient, reading

_PATIENTS = [f"p{number}" for number in range(14)]
_START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def play_round(world: World, random_: random.Random, changes: int = 60) -> None:
    """``changes`` random changes at the sources, few keys and close times, so that they meet."""
    acts = (_patient, _patient, _encounter, _encounter, _encounter, _registry, _address, _reading, _reading)
    for _ in range(changes):
        random_.choice(acts)(world, random_)


def _gone(random_: random.Random) -> bool:
    return random_.random() < 0.2


def _patient(world: World, random_: random.Random) -> None:
    id_ = random_.choice(_PATIENTS)
    if _gone(random_):
        return world.delete("Patient", id_)
    more = random_.choice(
        (
            {},
            {"birthDate": "1970-05-17", "gender": "female"},
            {"birthDate": "1970-05"},
            {"deceasedBoolean": False},
            {"deceasedDateTime": "2026-01-02T03:04:05+05:45"},
        )
    )
    return world.put(patient(id_, **more))


def _encounter(world: World, random_: random.Random) -> None:
    id_ = f"e{random_.randrange(25)}"
    if _gone(random_):
        return world.delete("Encounter", id_)
    start = _START + timedelta(hours=random_.randrange(-100, 100))
    end = start + timedelta(hours=random_.randrange(-8, 40))
    who = random_.choice([*_PATIENTS, "nobody", None])
    return world.put(
        encounter(
            id_,
            who,
            random_.choice((start.isoformat(), start.isoformat(), start.date().isoformat(), "2026-03", None)),
            random_.choice((end.isoformat(), end.isoformat(), end.date().isoformat(), None)),
        )
    )


def _registry(world: World, random_: random.Random) -> None:
    id_ = random_.choice(_PATIENTS)
    if _gone(random_):
        return world.delete_item("patient", id_, "PATIENT")
    score = Decimal(random_.randrange(1_000_000)).scaleb(-4)
    status = random_.choice(("active", "paused"))
    return world.put_item("patient", id=id_, sk="PATIENT", enrolment_status=status, risk_score=score)


def _address(world: World, random_: random.Random) -> None:
    id_, number = random_.choice(_PATIENTS), random_.randrange(3)
    if _gone(random_):
        return world.delete_item("address", id_, f"ADDRESS#{number:03d}")
    since = random_.choice((None, date(2020, 1, 1), date(2024, 6, 1)))
    return world.put_item("address", **home(id_, number, current=random_.random() < 0.7, since=since))


def _reading(world: World, random_: random.Random) -> None:
    at = _START + timedelta(hours=random_.randrange(-130, 130))
    site = f"s{random_.randrange(2)}"
    if _gone(random_) and world.items["site_activity"]:
        return world.delete_item("site_activity", *random_.choice(sorted(world.items["site_activity"])))
    one, two = (random_.choice((None, str(Decimal(random_.randrange(10**6)).scaleb(-5)))) for _ in range(2))
    item = reading(at, random_.choice([*_PATIENTS, None]), one, two)
    return world.put_item("site_activity", **{**item, "site_id": site})
