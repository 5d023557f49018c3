"""The applier's process: `python -m cpo.journal`, started by the gateway."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # a killed gateway takes its applier along
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cpo.settings")
    import django

    django.setup()
    from cpo.gateway import settle_in
    from stations.ocpp.applier import Applier

    settle_in()
    os.nice(5)  # stations wait for the gateway's answers, and nobody for what follows from them
    Applier().run()


if __name__ == "__main__":
    main()
