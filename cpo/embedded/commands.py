"""What `manage.py` does first: enter the virtual environment, then hand over to the command."""

from __future__ import annotations

import os
import sys

from cpo.embedded import environment, problems, virtualenv
from cpo.embedded.places import places
from cpo.embedded.problems import Problem
from cpo.embedded.terminal import Progress


def main(argv: list[str]) -> int:
    """Exit code of the command. Known trouble becomes one sentence and 1."""
    progress = Progress()
    try:
        return _run(argv, progress)
    except Problem as problem:
        progress.say(f"\n{problem.what}\n{problem.way_out}")
        return 1
    except OSError as error:
        known = problems.from_os_error(error)
        if known is None:
            raise
        progress.say(f"\n{known.what}\n{known.way_out}")
        return 1
    except KeyboardInterrupt:
        return 130


def _run(argv: list[str], progress: Progress) -> int:
    name = argv[1] if len(argv) > 1 else "help"
    virtualenv.enter(argv, progress)
    if name == "up":
        from cpo.embedded import up

        return up.main(argv[2:], progress)
    if name == "test":
        from cpo.embedded import test

        return test.main(argv[2:], progress)
    return _django(argv)


def _django(argv: list[str]) -> int:
    if argv[1:2] == ["serve"] and len(argv) > 2 and argv[2] in environment.ROLES:
        os.environ["VOLTYARD_PROCESS"] = argv[2]
    on_a_desk = environment.wanted()
    if on_a_desk:
        os.environ.update(environment.of_checkout(places()))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cpo.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from cpo.env import SettingError

    try:
        execute_from_command_line(argv)
    except (ImproperlyConfigured, SettingError) as error:
        print(error, file=sys.stderr)
        return 1
    except OperationalError as error:
        if on_a_desk and "refused" in str(error):
            raise Problem(
                "The database of this checkout does not run.",
                "Start it with `python3 manage.py up` in another terminal, or set DATABASE_URL to a server of yours.",
            ) from None
        raise
    return 0
