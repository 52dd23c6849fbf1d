"""The emulator as a process: it starts clean, keeps to itself, remembers, and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local.emulator import Emulator, EmulatorError
from local.emulator.environment import Options, emulator_environment
from tests.e2e.emulator.conftest import until
from tests.e2e.emulator.functions import create_function, invoke

pytestmark = pytest.mark.e2e


def _group(leader: int) -> list[str]:
    """The processes of a process group, as `ps` names them."""
    listed = subprocess.run(
        ["ps", "-eo", "pgid=,pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split(maxsplit=3) for line in listed.splitlines()]
    return [line[3] for line in lines if line[0] == str(leader) and not line[2].startswith("Z")]


def test_a_stop_leaves_no_process_and_a_start_finds_everything_again(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator")
    emulator.start()
    leader, endpoint = emulator.pid, emulator.endpoint
    assert leader is not None
    emulator.client("s3").create_bucket(Bucket="kept")
    emulator.client("s3").put_object(Bucket="kept", Key="a/b", Body=b"here")
    create_function(emulator, "count", "import os\ndef handler(event, context):\n    return os.getpid()")
    assert invoke(emulator, "count")[1] is None
    assert len(_group(leader)) >= 2, "the function's worker belongs to the emulator's group"

    emulator.stop()
    assert not emulator.is_running()
    # What was killed takes a moment to leave the list of processes.
    until(lambda: _group(leader) == [])
    assert emulator.pid is None

    again = Emulator(tmp_path / "emulator")
    again.start()
    try:
        assert again.endpoint == endpoint, "queue URLs and stack.json hold the port"
        assert again.client("s3").get_object(Bucket="kept", Key="a/b")["Body"].read() == b"here"
        assert invoke(again, "count")[1] is None
    finally:
        again.stop()


def test_a_second_start_is_the_same_emulator(tmp_path: Path) -> None:
    with Emulator(tmp_path / "emulator") as first:
        second = Emulator(tmp_path / "emulator")
        second.start()
        assert second.pid == first.pid
        assert second.health()["version"] == "1.5.33"


def test_whoever_asks_for_it_while_it_starts_is_not_taken_for_it_and_does_not_hinder_it(
    tmp_path: Path,
) -> None:
    emulator = Emulator(tmp_path / "emulator", Options(keep_state=False))
    emulator.root.mkdir()
    lock = emulator.root / "lock"
    lock.touch()
    with lock.open("rb") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)  # as `is_running` does, for far less than this second
        assert not emulator.is_running()
        let_go = threading.Timer(1, fcntl.flock, (asking, fcntl.LOCK_UN))
        let_go.start()
        with emulator:
            assert emulator.is_running()
        let_go.join()


def test_two_emulators_do_not_know_each_other(tmp_path: Path) -> None:
    with Emulator(tmp_path / "a") as one, Emulator(tmp_path / "b") as other:
        one.client("s3").create_bucket(Bucket="only-in-one")
        assert one.port != other.port
        assert other.client("s3").list_buckets()["Buckets"] == []


def test_nothing_of_the_user_reaches_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://example.org")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    with Emulator(tmp_path / "emulator") as emulator:
        create_function(
            emulator,
            "environment",
            "import os\ndef handler(event, context):\n    return dict(os.environ)",
            environment={"MINE": "yes"},
        )
        seen, error = invoke(emulator, "environment")
        endpoint = emulator.endpoint
    assert error is None
    assert seen["MINE"] == "yes"
    assert seen["AWS_ENDPOINT_URL"] == endpoint
    assert seen["HOME"] == str(tmp_path / "emulator" / "home")
    assert "AWS_PROFILE" not in seen
    assert "secret" not in seen.values()


def test_it_answers_on_the_loopback_only(emulator: Emulator) -> None:
    """A listener on all addresses would answer on this one of the loopback's, too."""
    with socket.socket() as probe:
        probe.settimeout(2)
        assert probe.connect_ex(("127.0.0.2", emulator.port)) != 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", emulator.port)) == 0


def test_a_killed_emulator_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator", Options(keep_state=False))
    emulator.start()
    leader = emulator.pid
    assert leader is not None
    os.killpg(leader, signal.SIGKILL)
    until(lambda: not emulator.is_running())
    assert emulator.pid is None
    with pytest.raises(EmulatorError, match=r"does not answer.*emulator\.log"):
        emulator.health()
    with emulator:
        assert emulator.pid not in (None, leader)


def test_a_killed_emulator_leaves_no_half_of_its_state(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator")
    emulator.start()
    emulator.client("s3").create_bucket(Bucket="half")
    emulator.client("s3").put_object(Bucket="half", Key="on-disk", Body=b"x")
    (tmp_path / "stack.json").write_text("{}")
    leader = emulator.pid
    assert leader is not None
    os.killpg(leader, signal.SIGKILL)
    until(lambda: not emulator.is_running())

    again = Emulator(tmp_path / "emulator")
    with again:
        assert again.lost_state
        assert again.client("s3").list_buckets()["Buckets"] == []
        assert not (tmp_path / "stack.json").exists()
        again.client("s3").create_bucket(Bucket="whole")
    with Emulator(tmp_path / "emulator") as saved:
        assert not saved.lost_state
        assert [each["Name"] for each in saved.client("s3").list_buckets()["Buckets"]] == ["whole"]


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator", Options(log_level="NONSENSE"))
    with pytest.raises(EmulatorError, match=r"(?s)ended at once.*NONSENSE"):
        emulator.start()
    assert not emulator.is_running()


def test_asking_one_that_was_never_started_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="watershed up"):
        _ = Emulator(tmp_path / "emulator").endpoint


def test_the_environment_is_spelled_out() -> None:
    environment = emulator_environment(
        Path("/state"), 4566, Options(), {"PATH": "/bin", "AWS_REGION": "eu-west-1", "JAVA_HOME": "/java"}
    )
    assert environment["PATH"] == f"{Path(sys.executable).parent}:/bin"
    assert environment["JAVA_HOME"] == "/java"
    assert environment["BIND_HOST"] == "127.0.0.1"
    assert "AWS_REGION" not in environment
    assert "AWS_ENDPOINT_URL" not in environment
