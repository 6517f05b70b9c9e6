"""Tables in docs/measurements.md: each script's and topic's between marks of its own, with what they are of."""
from .run import ROOT

PATH = f"{ROOT}/docs/measurements.md"


def built_commit(build):
    """Which commit a build is of: the tree may have gone on since."""
    try:
        with open(f"{build}/loadtest/commit", encoding="utf-8") as f:
            return f.read().strip()
    except FileNotFoundError:
        return "unknown"


def put(name, lines):
    """In place of what stands between the marks of that name; a new one goes to the end."""
    begin, end = f"<!-- loadtest/{name}: begin -->", f"<!-- loadtest/{name}: end -->"
    block = "\n".join([begin, *lines, end])
    with open(PATH, encoding="utf-8") as f:
        document = f.read()
    if begin in document:
        head, rest = document.split(begin, 1)
        document = head + block + rest.split(end, 1)[1]
    else:
        document = f"{document.rstrip()}\n\n{block}\n"
    with open(PATH, "w", encoding="utf-8") as f:
        f.write(document)
