"""Which Python runs us. Written so that Python 3.6 can still read it."""

import os
import shutil
import sys
from typing import List

SUPPORTED = ("3.11", "3.12", "3.13")


def use_another(argv: List[str]) -> int:
    """Hand over to a supported Python on this machine; without one, say so in one sentence and give 1."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if not os.environ.get("VOLTYARD_HANDED_OVER"):
        _hand_over(os.path.join(root, ".venv", "bin", "python"), argv)
    for version in SUPPORTED:
        found = shutil.which("python" + version)
        if found and not os.environ.get("VOLTYARD_HANDED_OVER"):
            _hand_over(found, argv)
    sys.stderr.write(
        "Voltyard needs Python 3.11, 3.12 or 3.13, and this is %d.%d: install one of them (on Debian and Ubuntu "
        "`apt install python3.11 python3.11-venv`) and run it in place of python3.\n" % sys.version_info[:2]
    )
    return 1


def _hand_over(python: str, argv: List[str]) -> None:
    if os.access(python, os.X_OK):
        os.environ["VOLTYARD_HANDED_OVER"] = "1"
        os.execv(python, [python, *argv])
