"""I3D RGB features of a folder's videos, for benchmarks: of isolated snippets or dense, in half precision.

    python -m tests.bench.extract stitched --features snippet --features dense

The folder has `videos/`; features go into its `features/` (snippet) and `dense/`. What is there already and
still right is not made again.
"""

import argparse
from pathlib import Path

from examples.mocap.benchmark import FEATURE_FOLDERS, extract


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path)
    parser.add_argument("--features", choices=FEATURE_FOLDERS, action="append", required=True)
    options = parser.parse_args()
    for context in options.features:
        print(extract(options.folder, context))


if __name__ == "__main__":
    main()
