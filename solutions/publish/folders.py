"""An edition as a folder, and as an archive. What is already there is replaced only where it is ours, and unchanged."""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from rlhf_core.errors import CourseError

MARKER = ".published.json"  # in each folder: what was written, with hashes
COMMENT = b"made by rlhf-course publish"  # in each archive
OF_NOBODY = ("__pycache__", ".pytest_cache", ".ipynb_checkpoints")  # made by using the course
EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can tell


def write_folder(files, target: Path):
    """Make `target` hold these files and nothing else. Raises CourseError where that would lose anything of somebody else's."""
    must_be_ours(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".publishing-") as working:
        fresh, old = Path(working, "fresh"), Path(working, "old")
        for name, file in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(0o755 if file.executable else 0o644)
        hashes = {name: hash_of(file.content) for name, file in files.items()}
        (fresh / MARKER).write_text(json.dumps(hashes, indent=1), encoding="utf-8")
        try:
            if target.exists():
                target.rename(old)
            fresh.rename(target)
        finally:
            if old.exists() and not target.exists():
                old.rename(target)


def must_be_ours(target: Path):
    """Raises CourseError where a folder holds something that publish did not write."""
    if not target.exists():
        return
    if not (target / MARKER).is_file():
        raise CourseError(
            f"{target} is there already and was not made by publish: move it away, or name another folder with --to"
        )
    known = json.loads((target / MARKER).read_text(encoding="utf-8"))
    for parent, folders, names in os.walk(target):
        folders[:] = [name for name in folders if name not in OF_NOBODY]
        for name in names:
            path = Path(parent, name)
            written = path.relative_to(target).as_posix()
            if written != MARKER and known.get(written) != hash_of(path.read_bytes()):
                raise CourseError(f"{path} was not written by publish, or was changed since: move {target} away first")


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_archive(files, target: Path, top: str):
    """All files below a folder `top`; the same bytes each time. Raises CourseError where `target` is not ours."""
    if target.exists() and not is_ours(target):
        raise CourseError(
            f"{target} is there already and was not made by publish: move it away, or name another folder with --to"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".publishing-") as working:
        fresh = Path(working, target.name)
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.comment = COMMENT
            for name, file in sorted(files.items()):
                member = zipfile.ZipInfo(f"{top}/{name}", EARLIEST)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = (0o100755 if file.executable else 0o100644) << 16
                archive.writestr(member, file.content)
        shutil.move(fresh, target)


def is_ours(archive: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as file:
            return file.comment == COMMENT
    except (zipfile.BadZipFile, OSError):
        return False
