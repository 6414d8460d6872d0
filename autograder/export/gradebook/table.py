"""CSV files as others wrote them, read and written back in the same way."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from rlhf_core.errors import CourseError, UsageError


@dataclass(frozen=True)
class Table:
    """A CSV file: its columns, the rows below, at least as long as these, and how it is written."""

    name: str
    header: list[str]
    rows: list[list[str]]
    first: list[str]  # the first line as it stands
    style: dict

    def place(self, column: str) -> int | None:
        return next((place for place, name in enumerate(self.header) if name.lower() == column.lower()), None)

    def cell(self, row: list[str], column: str) -> str:
        """'' where there is no such column."""
        place = self.place(column)
        return "" if place is None else row[place].strip()

    def written(self, rows: list[list[str]]) -> bytes:
        """The file with other rows, and without those in which nothing stands."""
        return as_csv([self.first, *filter(any, rows)], **self.style)


def read_table(path: Path, needs: set[str]) -> Table | None:
    """None for a file without the columns that it needs, whatever separates them. Raises UsageError for one that is no CSV."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
        for delimiter in ",;\t":
            lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
            header = [name.strip() for name in lines[0]] if lines else []
            if needs <= set(header):
                style = {"bom": content.startswith(b"\xef\xbb\xbf"), "delimiter": delimiter}
                style["line_end"] = "\r\n" if "\r\n" in text else "\n"
                rows = [row + [""] * (len(header) - len(row)) for row in lines[1:]]
                return Table(path.name, header, rows, lines[0], style)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name} is not UTF-8 (byte {error.start}): export it again, or save it as CSV UTF-8") from error
    except csv.Error as error:
        raise UsageError(f"{path.name} is not CSV that can be read: {error}") from error
    return None


def as_csv(rows, bom: bool = True, delimiter: str = ",", line_end: str = "\r\n") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    return text.getvalue().encode("utf-8-sig" if bom else "utf-8", "backslashreplace")


def number_of(text: str) -> float | None:
    """A plain number, with a point or a comma before its decimals."""
    return float(text.replace(",", ".")) if re.fullmatch(r"\s*[0-9]+([.,][0-9]+)?\s*", text) else None


def write(out: Path, files: dict[str, bytes]):
    """Raises CourseError where the disk says no."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise CourseError(f"{error.filename} cannot be written ({error.strerror}): name another folder with --out") from error
