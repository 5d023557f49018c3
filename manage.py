#!/usr/bin/env python3
"""Voltyard's one command. Needs a bare Python 3.11 to 3.13; everything else it fetches itself.

python3 manage.py up      the whole product with demo data, on this machine
python3 manage.py test    all checks and tests
python3 manage.py help    everything else
"""

import sys


def main():
    # Only here may an old Python look, so nothing above this line uses a newer word than it knows.
    if sys.version_info < (3, 11) or sys.version_info >= (3, 14):
        from cpo.embedded import pythons

        return pythons.use_another(sys.argv)
    from cpo.embedded import commands

    return commands.main(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
