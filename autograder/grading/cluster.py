"""Grades on a Dask cluster: one that is started on this machine, or one whose scheduler has an address.

Submissions go to the workers as bytes, so that no folder has to be shared; the results folder is written here alone.  For
`tls://` Dask reads certificates from its own configuration.
"""

import contextlib
import itertools
from dataclasses import asdict

from rlhf_core.errors import CourseError

from .job import Job, Settings

AHEAD = 2  # tasks for each worker that are on their way while it is busy
RETRIES = 2  # of a task whose worker went away


def results(tasks, settings: Settings, jobs: int, address: str | None):
    """Yield (task, what was found) as they are ready, as `local.results` does. Raises CourseError without a cluster."""
    try:
        from distributed import Client, LocalCluster, as_completed
    except ModuleNotFoundError:
        raise CourseError("Dask is not installed: pip install 'rlhf-course[cluster]'") from None
    settings = asdict(settings) | {"stage": None}
    tasks = iter(tasks)
    with contextlib.ExitStack() as stack:
        try:
            if address is None:
                address = stack.enter_context(LocalCluster(jobs, threads_per_worker=1, dashboard_address=None))
            client = stack.enter_context(Client(address, timeout="20s"))
        except (OSError, ValueError, TimeoutError) as error:
            raise CourseError(f"there is no Dask scheduler to be reached at {address!r}: {error}") from error

        def send(task):
            future = client.submit(grade_there, settings, task.files, task.attempt, pure=False, retries=RETRIES)
            at_work[future] = task
            return future

        at_work: dict = {}
        workers = max(len(client.scheduler_info(n_workers=-1)["workers"]), 1)
        ready = as_completed([send(task) for task in itertools.islice(tasks, AHEAD * workers)])
        for future in ready:
            error = future.exception()
            found = future.result() if error is None else {"fault": f"the cluster lost it ({type(error).__name__}: {error})"}
            yield at_work.pop(future), found
            for task in itertools.islice(tasks, 1):
                ready.add(send(task))
        client.run(leave)


JOBS: dict[str, Job] = {}  # of this process of the cluster


def grade_there(settings: dict, files: dict[str, bytes], attempt: int) -> dict:
    """Runs on a worker of the cluster, in the sandbox that it keeps."""
    key = str(sorted(settings.items()))
    if key not in JOBS:
        leave()
        JOBS[key] = Job(Settings(**settings))
    return JOBS[key].grade(files, attempt)


def leave():
    """End the sandboxes of this process of the cluster."""
    for job in JOBS.values():
        job.close()
    JOBS.clear()
