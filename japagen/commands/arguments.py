"""How every command reads its arguments: its module's docstring explains it, and --help ends with examples."""

import argparse


def make_parser(command: str, about: str | None, *examples: str) -> argparse.ArgumentParser:
    """A parser for `japagen COMMAND`. examples: what follows the command, with `   # what for` where that needs saying."""
    lines = "\n".join(f"  japagen {command} {example}".rstrip() for example in examples)
    return argparse.ArgumentParser(
        f"japagen {command}",
        description=about,
        epilog=f"{'examples' if len(examples) > 1 else 'example'}:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
