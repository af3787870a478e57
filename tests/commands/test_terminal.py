"""What commands say while they work: on a terminal's standard error, and nowhere else."""

import io

import pytest

from japagen.commands.terminal import size, working


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("screen", [_Screen(), io.StringIO()])
def test_work_is_named_on_a_terminal_only(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with working("reading [bold]月曜"):
        pass
    assert ("reading [bold]月曜" in screen.getvalue()) == screen.isatty()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("num_bytes", "said"), [(None, "size unknown"), (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (16_400_000_000, "16.4 GB")]
)
def test_sizes_are_decimal(num_bytes: int | None, said: str) -> None:
    assert size(num_bytes) == said
