"""An edition as a commit on a branch of its own: nothing of the working tree, the index or HEAD is touched.

The first commit of a branch has no parent, and each later one the last of its branch: nothing of `main` hangs under it.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from rlhf_core.errors import CourseError

TRAILER = "Published-by: rlhf-course publish"


def repository_here() -> Path:
    """The repository that the command is run in. Raises CourseError outside of one."""
    try:
        return Path(git(Path.cwd(), "rev-parse", "--show-toplevel").strip())
    except CourseError:
        raise CourseError("--branches makes commits in the repository it is run in, and this folder is in none") from None


def commit(repository: Path, branch: str, files, message: str) -> str | None:
    """Commit these files on the branch; its new commit, or None where the branch holds just these already.

    Raises CourseError for a branch that is checked out, or that holds a commit which publish did not make.
    """
    ref = f"refs/heads/{branch}"
    if f"branch {ref}\n" in git(repository, "worktree", "list", "--porcelain"):
        raise CourseError(f"the branch {branch} is checked out here: switch to another one first")
    old = git(repository, "for-each-ref", "--format=%(objectname)", ref).strip()
    if old and git(repository, "rev-list", "--invert-grep", f"--grep=^{TRAILER}$", old):
        raise CourseError(
            f"the branch {branch} holds commits that publish did not make: rename it (git branch -m {branch} ...)"
        )
    tree = tree_of(repository, files)
    if old and tree == git(repository, "rev-parse", f"{old}^{{tree}}").strip():
        return None
    parents = ["-p", old] if old else []
    new = git(repository, "commit-tree", tree, *parents, "-m", message, "-m", TRAILER).strip()
    git(repository, "update-ref", "-m", "publish", ref, new, old or "0" * len(new))
    return new


def tree_of(repository: Path, files) -> str:
    """Store the files, as they are, and return their tree."""
    with tempfile.TemporaryDirectory() as working:
        paths = []
        for number, file in enumerate(files.values()):
            paths.append(Path(working, str(number)))
            paths[-1].write_bytes(file.content)
        listed = "".join(f"{path}\n" for path in paths)
        blobs = git(repository, "hash-object", "-w", "--no-filters", "--stdin-paths", given=listed).split()
        rows = []
        for (name, file), blob in zip(files.items(), blobs, strict=True):
            rows.append(f"{'100755' if file.executable else '100644'} {blob}\t{name}\0")
        index = os.environ | {"GIT_INDEX_FILE": str(Path(working, "index"))}
        git(repository, "update-index", "-z", "--index-info", given="".join(rows), environment=index)
        return git(repository, "write-tree", environment=index).strip()


def push(repository: Path, remote: str, branch: str):
    git(repository, "push", remote, f"refs/heads/{branch}:refs/heads/{branch}")


def git(folder: Path, *words, given: str | None = None, environment=None) -> str:
    """What git prints. Raises CourseError with what it says where it fails."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, input=given, env=environment, capture_output=True, text=True, encoding="utf-8"
        )
    except FileNotFoundError:
        raise CourseError("git is not installed here, and publish needs it") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or "no reason given"
        raise CourseError(f"git {words[0]} failed in {folder}: {said}")
    return done.stdout
