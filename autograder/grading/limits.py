"""What a submission may use: the numbers of [grading] in course.toml."""

from dataclasses import dataclass

from rlhf_core.course import course


@dataclass(frozen=True)
class Limits:
    """Seconds are of wall time, what is handed over included."""

    import_seconds: float
    call_seconds: float
    submission_seconds: float
    memory_mib: int
    processes: int
    disk_mib: int
    output_mib: int

    @classmethod
    def of_the_course(cls):
        return cls(**course()["grading"])
