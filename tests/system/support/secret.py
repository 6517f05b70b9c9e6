"""Secrets that pass through the tests' hands: tokens that are sent, keys and passwords that are answered, those in files and URLs. At the end of
each world no program's log may hold any of them."""

import re

PIECE_LEAST = 16  # of a text: what is shorter may stand anywhere by chance
SPLIT = re.compile(r"[^A-Za-z0-9_-]+")
KEY_ID = re.compile(r"[a-z0-9]+_[a-z0-9]+")
ANSWERED = re.compile(rb'"(?:key|password|credential|secret)"\s*:\s*"([^"]+)"')
ANSWERED_LISTS = re.compile(rb'"secrets"\s*:\s*\[([^\]]*)\]')

seen = set()


def note(text):
    """Remembers the secret part of a token: its last piece, so a JWT's signature and not its claims."""
    note_pieces(SPLIT.split(text or "")[-1:])


def note_pieces(pieces):
    """A key's id is no secret."""
    seen.update(piece for piece in pieces if len(piece) >= PIECE_LEAST and not KEY_ID.fullmatch(piece))


def note_answer(body):
    for found in ANSWERED.findall(body):
        note_pieces(SPLIT.split(found.decode(errors="replace")))  # one in base64 has "/" and "+" somewhere
    for found in ANSWERED_LISTS.findall(body):
        for text in found.decode(errors="replace").split(","):
            note(text)


def leaked(text):
    """Those that stand in a log."""
    return sorted(seen.intersection(SPLIT.split(text)))
