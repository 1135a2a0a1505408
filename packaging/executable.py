"""Start of the standalone executable: whatever `nodeconsole` does, and the shim of a component (`__attempt__`)."""

import multiprocessing
import sys

if __name__ == "__main__":
    # A component's worker processes start through this executable as well; this answers them and returns otherwise.
    multiprocessing.freeze_support()

    from nodeconsole.launcher import main

    sys.exit(main())
