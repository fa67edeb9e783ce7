"""python -m bn_mappo ARGUMENTS is bn-mappo ARGUMENTS."""

import sys

from bn_mappo.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
