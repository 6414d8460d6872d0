"""Grades on this machine: as many jobs at once as asked for, each a process of its own."""

import contextlib
import queue
import subprocess
import sys
import threading
from dataclasses import asdict

from autograder.driver.frames import HEAD, BrokenFrame, lengths, pack, unpack

from .job import Settings

START = """
import sys
sys.path[:] = filter(None, sys.path)
from autograder.grading.job import main
main()
"""
CLOSE_SECONDS = 10.0
PATIENCE = 900.0  # seconds beyond the limit of a submission, for the checks themselves


def results(tasks, settings: Settings, jobs: int):
    """Yield (task, what was found) as they are ready. tasks: an iterator of objects with `files` and `attempt`."""
    tasks, lock, done = iter(tasks), threading.Lock(), queue.Queue()
    processes = [Process(settings, number) for number in range(jobs)]

    def work(process):
        try:
            while True:
                with lock:
                    task = next(tasks, None)
                if task is None:
                    break
                done.put((task, process.grade(task.files, task.attempt)))
        except BaseException as error:  # of the iterator of tasks, such as a disk that is full
            done.put((None, error))
        done.put(None)

    threads = [threading.Thread(target=work, args=(process,), daemon=True) for process in processes]
    try:
        for thread in threads:
            thread.start()
        at_work = len(threads)
        while at_work:
            found = done.get()
            if found is None:
                at_work -= 1
            elif found[0] is None:
                raise found[1]
            else:
                yield found
    finally:
        for process in processes:
            process.close()


class Process:
    """A job in a process of its own, which dies with this one."""

    def __init__(self, settings, number):
        self.settings, self.number, self.process = settings, number, None
        self.idle, self.closed = True, False

    def grade(self, files, attempt) -> dict:
        """What was found. A job that breaks down is started once more."""
        why = "the run was stopped"
        for _ in range(2):
            try:
                return self.ask({"files": files, "attempt": attempt})
            except (OSError, BrokenFrame, EOFError) as error:
                why = f"{type(error).__name__}: {error}".rstrip(": ")
                self.end()
            if self.closed:
                break
        return {"fault": f"the process that grades broke down twice ({why})"}

    def ask(self, question) -> dict:
        if self.process is None:
            command = [sys.executable, "-c", START]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            self.process.stdin.write(pack([asdict(self.settings), self.number]))
        watch = threading.Timer(self.settings.limits["submission_seconds"] + PATIENCE, self.process.kill)
        watch.daemon = True
        watch.start()
        self.idle = False
        try:
            self.process.stdin.write(pack(question))
            self.process.stdin.flush()
            head = self.exactly(HEAD.size)
            first, second = lengths(head)
            found = unpack(self.exactly(first), self.exactly(second))
            self.idle = True
            return found
        finally:
            watch.cancel()

    def exactly(self, length) -> bytes:
        got = self.process.stdout.read(length)
        if len(got) < length:
            raise EOFError
        return got

    def close(self):
        self.closed = True
        self.end()

    def end(self):
        if self.process is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()  # it then ends its sandbox, and goes
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(CLOSE_SECONDS if self.idle else 0)
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None
