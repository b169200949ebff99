"""What every Python under the sanitizers does first.

Their runtime is for Python alone: guests do not boot with it, and other commands have mistakes of their own. What is
started by `sys.executable` has it again: that is the script next to this file.
"""

import os
import sys
from pathlib import Path

os.environ.pop("LD_PRELOAD", None)
sys.executable = str(Path(__file__).with_name("python"))
