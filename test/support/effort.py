"""How long a test may take: as much as fits into ./check, or with WHIMBREL_THOROUGH=1, as ./check --all sets it, all of it."""

import os

THOROUGH = os.environ.get("WHIMBREL_THOROUGH") == "1"


def effort(usual, thorough):
    return thorough if THOROUGH else usual
