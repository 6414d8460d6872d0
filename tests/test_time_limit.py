"""Code that never returns is stopped, whatever it catches, and what was there before is there afterwards."""

import signal
import sys
import threading
import time

import pytest

from autograder.driver.limit import TimeIsUp, time_limit

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm signal here")


def forever():
    while True:
        pass


def forever_catching():
    while True:
        try:
            while True:
                try:
                    sum(range(10))
                except:  # noqa: E722 (the point of the test)
                    sum(range(10))
        except BaseException:
            continue


def asleep():
    time.sleep(60)


@pytest.mark.parametrize("function", [forever, forever_catching, asleep])
def test_it_ends(function):
    before = signal.getsignal(signal.SIGALRM), sys.gettrace()
    start = time.monotonic()
    with pytest.raises(TimeIsUp), time_limit(0.2):
        function()
    assert time.monotonic() - start < 5
    assert (signal.getsignal(signal.SIGALRM), sys.gettrace()) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_it_ends_in_a_thread():
    ended = []

    def run():
        try:
            with time_limit(0.2):
                forever()
        except TimeIsUp:
            ended.append(True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert ended


def test_what_returns_in_time_is_left_alone():
    with time_limit(5):
        assert sum(range(1000)) == 499500
    time.sleep(0.01)


def test_an_import_is_finished_first(tmp_path, monkeypatch):
    """A module that was stopped while it was imported could not be imported again."""
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.7)\nready = True\n")
    monkeypatch.syspath_prepend(tmp_path)

    def imports_and_returns():
        import slow_to_import

        return slow_to_import.ready

    with time_limit(0.2):
        assert imports_and_returns()
    sys.modules.pop("slow_to_import")

    def imports_and_stays():
        imports_and_returns()
        forever()

    with pytest.raises(TimeIsUp), time_limit(0.2):
        imports_and_stays()
    assert imports_and_returns()


def test_an_alarm_that_rings_as_the_block_ends_leaves_nothing_behind():
    before, seconds, rung = (signal.getsignal(signal.SIGALRM), sys.gettrace()), 0.001, 0
    for n in range(3000):
        end = time.perf_counter() + seconds - (n % 60) * 1e-6
        try:
            with time_limit(seconds):
                while time.perf_counter() < end:
                    pass
        except TimeIsUp:
            rung += 1
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0), "still on: it would ring in whatever runs next"
        assert (signal.getsignal(signal.SIGALRM), sys.gettrace()) == before
    assert 0 < rung < 3000
