"""The command line itself: quick, and with run.py's words for errors."""

import subprocess
import sys
from configparser import ConfigParser

import pytest

from japagen.commands.main import COMMANDS, main
from japagen.errors import ConfigError
from tests.conftest import ROOT


def run(*arguments: str) -> tuple[int, str]:
    """Exit code (sys.exit with a text is 1) and that text."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    code = caught.value.code
    return (code, "") if isinstance(code, int) else (1, str(code))


def test_help_imports_nothing_heavy() -> None:
    heavy = ["torch", "hydra", "omegaconf", "rich", "aiohttp", "scipy", "numpy", "huggingface_hub"]
    program = (
        "import sys\nfrom japagen.commands.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('imported:', [name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "imported: []" in done.stdout
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == (0, "")
    output = capsys.readouterr().out
    assert f"usage: japagen {name}" in output
    assert f"\n  japagen {name}" in output.rpartition("example")[2]


def test_an_unknown_command_is_named_with_the_nearest() -> None:
    assert run("previw") == (1, f"error: there is no command 'previw' (did you mean 'preview'?); commands: {', '.join(COMMANDS)}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["preview", "task=jnil"], "error: task='jnil' is not known (did you mean 'jnli'?)"),
        (["preview", "shotz=1"], "shotz"),
        (["preview", "n=0"], "n=0 is not allowed; n is the number of replies per label: a whole number from 1"),
        (["preview", "method=gold"], "method=gold: no LLM takes part"),
        (["preview", "--config-dir", "nowhere", "task=x"], "--config-dir nowhere: there is no such folder"),
        (["doctor", "-m"], ""),
        (["preview", "task=jnli", "num_per_label=0"], "num_per_label=0 is too small"),
    ],
)
def test_faults_of_the_user_are_one_message(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = run(*arguments)
    assert code != 0
    output = capsys.readouterr().err
    assert words in output
    assert "Traceback" not in output


def test_debug_shows_where_a_fault_was_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAPAGEN_DEBUG", "")  # put back after the test, which sets it
    with pytest.raises(ConfigError, match="n=0"):
        main(["--debug", "preview", "n=0"])


def test_the_installed_command_is_this_one() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert "japagen = japagen.commands.main:main" in setup["options.entry_points"]["console_scripts"]
