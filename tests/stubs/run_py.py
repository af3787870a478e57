"""run.py as a process, for what it prints and how it ends."""

import subprocess
import sys

from tests.conftest import ROOT


def run_py(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "run.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
