# timeout: 120, alone
"""What the compiler, the linker and the service manager are told for safety's sake is in what they make of it."""

import re
import shutil
import subprocess

import pytest
from support.process import AGENT, BUILD, CONTROLLER, NODE, SOURCE, run

LIBRARY = BUILD / "agent" / "libberth.so.0"
PAC = BUILD / "libexec" / "berth" / "berth-pac"
BUILT = [NODE, CONTROLLER, AGENT, PAC, LIBRARY]
UNITS = ["node/berth-node.service", "controller/berth-controller.service"]
# What systemd-analyze adds up of what a unit leaves open: 0 to 10, "OK" up to 4.9. These two have 1.7.
EXPOSURE_MOST = 2.0


def readelf(*args):
    return run(["readelf", "-W", *args]).stdout


@pytest.mark.parametrize("file", BUILT, ids=lambda f: f.name)
def test_a_binary_is_hardened(file):
    segments, dynamic = readelf("-lh", file), readelf("-d", file)
    assert re.search(r"Type:\s+DYN", segments), "not position-independent"
    assert "GNU_RELRO" in segments and re.search(r"FLAGS.*NOW", dynamic), "not wholly read-only after relocation"
    stack = re.search(r"GNU_STACK\s+(?:0x\w+\s+){5}(\S+)", segments)
    assert stack and "E" not in stack.group(1), "an executable stack"
    assert not re.search(r"LOAD.*\bRWE\b", segments), "memory that can be written and run"
    assert not re.search(r"\((RPATH|TEXTREL)\)", dynamic)
    assert "__stack_chk_fail" in readelf("--dyn-syms", file), "no stack protector"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_release_checks_what_is_copied_and_called(compiler, tmp_path):
    """The sanitizers' build has other options, so a program is built with those of a release."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(small LANGUAGES C)\n"
        f"include({SOURCE}/common/cmake/Options.cmake)\nadd_executable(small small.c)\n"
    )
    (tmp_path / "small.c").write_text(
        "#include <string.h>\n#include <stdio.h>\n"
        "int main(int argc, char **argv)\n{\n    char text[8];\n    strcpy(text, argv[argc - 1]);\n    return puts(text) < 0;\n}\n"
    )
    made = run(["cmake", "-S", tmp_path, "-B", tmp_path / "b", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                f"-DCMAKE_C_COMPILER={compiler}"])  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert run(["cmake", "--build", tmp_path / "b"]).returncode == 0
    program = tmp_path / "b" / "small"
    assert "__strcpy_chk" in readelf("--dyn-syms", program)
    if "X86-64" in readelf("-h", program):  # endbr64: an indirect call may land here
        code = run(["objdump", "-d", "--disassemble=main", "--no-show-raw-insn", program]).stdout
        assert re.search(r"<main>:\n\s+\w+:\s+endbr64", code), code[:600]
    assert run([program, "short"]).returncode == 0
    assert run([program, "longer than eight"]).returncode != 0


@pytest.fixture
def unit(request, tmp_path):
    """The unit as it is installed, but for the place of its program."""
    source = BUILD / request.param
    text = source.read_text()
    program = BUILD / request.param.replace(".service", "")
    unit = tmp_path / source.name
    unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={program}", text, flags=re.M))
    return unit


@pytest.mark.parametrize("unit", UNITS, indirect=True, ids=lambda u: u.rpartition("/")[2])
def test_a_unit_is_right_and_leaves_little_open(unit):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    done = analyze("verify", "--man=no", "--recursive-errors=no", unit)
    assert done.returncode == 0 and "Unknown" not in done.stderr and "ignoring" not in done.stderr, done.stderr
    done = analyze("security", "--offline=true", "--no-pager", unit)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert exposure, done.stdout + done.stderr
    assert float(exposure.group(1)) <= EXPOSURE_MOST, done.stdout


def analyze(*args):
    return subprocess.run(["systemd-analyze", *map(str, args)], capture_output=True, text=True, timeout=60)
