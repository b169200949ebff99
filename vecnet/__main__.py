"""The command `vecnet`, and `python -m vecnet`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line, which loads for a tenth of a second: an interrupt ends it without a traceback then too."""
    try:
        from vecnet.cli import main as run

        run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:  # while it loads: later ones are told with more words
        print(f"vecnet cannot be loaded: {error}; is `ulimit -n` too small?", file=sys.stderr)
        sys.exit(1)
    finally:
        gc.freeze()  # the interpreter looks for garbage as it ends, which takes a tenth of a short command's time


if __name__ == "__main__":
    main()
