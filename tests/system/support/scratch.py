"""Folders that are gone when whoever has made them is, however that ends."""

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile

PREFIX = "berth-scratch-"


@contextlib.contextmanager
def scratch(where=None):
    """A folder of this run's, gone with it. Where it is killed the lock goes all the same, and the folder by the next run."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=where, ignore_cleanup_errors=True) as folder:
        with open(f"{folder}/lock.new", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.rename(lock.name, f"{folder}/lock")  # nobody sees it before it is locked
            yield folder


def clear_scratch(places=(tempfile.gettempdir(), "/var/tmp")):
    """What killed runs have left."""
    for path in [path for place in set(places) for path in glob.glob(f"{place}/{PREFIX}*/lock")]:
        with contextlib.suppress(OSError), open(path, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = os.path.dirname(path)
            for told in glob.glob(f"{folder}/**/data-path", recursive=True):  # of a PostgreSQL that ran as somebody else
                with open(told, encoding="utf-8") as f:
                    data = f.read().strip()
                if os.path.basename(os.path.dirname(data)).startswith("berth-postgres-"):
                    shutil.rmtree(os.path.dirname(data), ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
