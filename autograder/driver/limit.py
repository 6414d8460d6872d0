"""A time limit on code that may never return."""

import contextlib
import ctypes
import faulthandler
import signal
import sys
import threading

RESTARTS = 20  # of the clock, while a module is being imported
GRACE = 5.0  # seconds after the limit until the last resort
EDGES = tuple(getattr(contextlib._GeneratorContextManager, name).__code__ for name in ("__enter__", "__exit__"))

# Where a process may be ended: the stream that gets the last words of one that TimeIsUp cannot stop, as it is inside a single
# call of C (`sum(range(10**12))`).
last_resort = None


class TimeIsUp(BaseException):
    """The limit was reached. Not an Exception, so that the `except Exception` of a learner does not swallow it."""


def importing(frame) -> bool:
    """Whether a module is being imported: stopped half-way it could never be imported again, and torch imports parts of itself
    when they are first used."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def in_the_block(frame, ours) -> bool:
    """Whether `frame` runs in a `with` block of the frame `ours`, which is not just being entered or left."""
    while frame is not ours:
        if frame is None or (frame.f_code in EDGES and frame.f_back is ours):
            return False
        frame = frame.f_back
    return True


@contextlib.contextmanager
def time_limit(seconds: float):
    """Raise TimeIsUp in the block when it has run for `seconds`, whatever it catches itself.

    By an alarm signal where there is one.  Elsewhere (Windows, a thread) a second thread does it, which can neither interrupt a
    sleep nor end a loop that catches everything.
    """
    by_signal = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    _arm(seconds)
    try:
        with _alarm(seconds) if by_signal else _watchdog(seconds):
            yield
    finally:
        if last_resort is not None:
            faulthandler.cancel_dump_traceback_later()


def _arm(seconds):
    if last_resort is not None:
        faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=last_resort)


@contextlib.contextmanager
def _alarm(seconds):
    ours, tracer_before = sys._getframe(), sys.gettrace()
    while ours.f_code.co_filename in (__file__, contextlib.__file__):
        ours = ours.f_back  # the frame of the `with`, which has to be left in peace

    def insist(frame, event, arg):
        # A bare `except:` in a loop has swallowed the first one: the next line outside its `try` raises again.
        if event == "line":
            raise TimeIsUp
        return insist

    restarts, patient = iter(range(RESTARTS)), iter(range(3))

    def ring(signum, frame):
        if not in_the_block(frame, ours):  # raised here it would leave the alarm on, for whatever runs next
            return
        if importing(frame) and next(restarts, None) is not None:
            signal.setitimer(signal.ITIMER_REAL, seconds, 0.25)
            _arm(seconds)
            return
        if next(patient, None) is None:  # caught by one `try` after the other: ring where it does not expect it
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        inner = frame
        while inner is not None and inner is not ours:
            inner.f_trace = insist
            inner = inner.f_back
        sys.settrace(lambda frame, event, arg: None)
        raise TimeIsUp

    handler_before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.25)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.settrace(tracer_before)
        signal.signal(signal.SIGALRM, handler_before)


@contextlib.contextmanager
def _watchdog(seconds):
    done, target = threading.Event(), ctypes.c_ulong(threading.get_ident())

    def watch():
        delay, restarts = seconds, iter(range(RESTARTS))
        while not done.wait(delay):
            if importing(sys._current_frames().get(target.value)) and next(restarts, None) is not None:
                _arm(seconds)
                continue
            ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(TimeIsUp))
            delay = 0.25

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
