"""`python -m spu_alignment`, as the node starts it."""

import sys

from algorithm_components.sdk.parameters import manifest_of
from algorithm_components.sdk.running import run
from spu_alignment.alignment import align

if __name__ == "__main__":
    sys.exit(run(align, manifest_of("spu_alignment")))
