# alone
"""The placement engine needs nothing of the system: no socket, clock, allocator, log or JSON."""

import re
import subprocess

from support.process import BUILD

ALLOWED = {"strcmp", "memcpy", "memset", "memcmp", "memmove", "strlen", "order_sort"}  # the last: common/core/order.c, as pure
COMPILER = re.compile(r"^(__asan|__ubsan|__tsan|__sanitizer|__stack_chk|_GLOBAL_OFFSET_TABLE_|__gcov|__llvm|"
                      r"__cpu_(features2|model|indicator_init)$)")  # the last: which build of a loop this processor runs


def test_placement_imports_nothing():
    library = BUILD / "controller" / "libberth_placement.a"
    told = subprocess.run(["nm", "-u", str(library)], capture_output=True, text=True, check=True).stdout
    wanted = {m.group(1) for m in re.finditer(r"^\s+U (\S+)$", told, re.M)}
    own = {s for s in wanted if s.startswith("place_")}
    foreign = {s for s in wanted - own - ALLOWED if not COMPILER.match(s)}
    assert wanted, "nm told nothing"
    assert not foreign
