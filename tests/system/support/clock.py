"""A program's time of day, stepped while it runs (libfaketime); its monotonic clock goes on as it is."""

import email.utils
import time
from pathlib import Path

import pytest

from .rest import Client

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Clock:
    """What the time of programs that are started with settings() is off by."""

    def __init__(self, file):
        if not LIBRARIES:
            pytest.skip("libfaketime is not installed")
        self.file = file
        self.step(0)

    def step(self, seconds):
        self.file.write_text(f"{seconds:+d}\n")

    def settings(self):
        """A sanitized program wants its sanitizer's library before any other."""
        return {"LD_PRELOAD": LIBRARIES[0], "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": 1, "FAKETIME_DONT_FAKE_MONOTONIC": 1,
                "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:verify_asan_link_order=0"}  # fmt: skip


def off_by(program):
    """By what a controller's or node's time of day is wrong, as it says itself, in whole seconds."""
    said = Client(program.metrics_url).get("/livez").expect(200).headers["Date"]
    return email.utils.parsedate_to_datetime(said).timestamp() - time.time()
