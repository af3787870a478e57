"""Builds both demo models: `python -m demo_models.build --mirror DIR --out DIR` (see `make demo-models`).

Mirror folder -> corpus (overlap rule applied) -> tokenizers -> LM -> encoder; `--out` gets `llm/`, `encoder/` and
`build.json` with the counts and the training records. Each model replaces its old folder by rename when it is finished. The same command
resumes a build that was interrupted: its vocabulary and checkpoint are kept in `--out`.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from demo_models.articles import article
from demo_models.chats import chat_stream, load_tasks
from demo_models.corpus import Corpus, load_corpus
from demo_models.grammar import caption
from demo_models.reviews import review
from demo_models.texts import LABEL_WEIGHTS, kinds, text_stream
from demo_models.tokenizer import Pieces, encoder_tokenizer, llm_tokenizer, prompt_phrases, train_pieces
from demo_models.train_encoder import train_encoder
from demo_models.train_llm import train_llm
from demo_models.tweets import tweet
from japagen.tasks import Task

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf" / "task"
GRAMMAR_TEXTS = 5000
"""Texts of each grammar that the tokenizer is trained on."""


def main() -> None:
    """Parses the command line and builds."""
    parser = argparse.ArgumentParser(prog="python -m demo_models.build", description="Trains the models that ship with japagen.")
    parser.add_argument("--mirror", type=Path, default=os.environ.get("JAPAGEN_DATA_MIRROR"), help="folder with the data sets' files")
    parser.add_argument("--out", type=Path, default=ROOT / "japagen" / "demo", help="folder that gets llm/ and encoder/")
    parser.add_argument("--minutes-llm", type=float, default=95.0, help="0: leave the LM as it is")
    parser.add_argument("--minutes-encoder", type=float, default=75.0, help="0: leave the encoder as it is")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if args.mirror is None:
        parser.error("--mirror is needed (or JAPAGEN_DATA_MIRROR): the folder with the data sets' files")
    torch.set_num_threads(args.threads)
    build(args.mirror, args.out, args.minutes_llm, args.minutes_encoder, args.seed)


def build(mirror: Path, out: Path, minutes_llm: float, minutes_encoder: float, seed: int) -> None:
    """Trains what has minutes, LM first, and writes `out/build.json`."""
    corpus, tasks = load_corpus(mirror), load_tasks(CONF)
    pieces = kept_pieces(out / ".pieces.json", tokenizer_texts(corpus, tasks, seed))
    report: dict[str, object] = {"seed": seed, "rows kept and read": corpus.counts}
    if minutes_llm:
        tokenizer = llm_tokenizer(pieces, prompt_phrases(tasks.values()))
        with replaced(out / "llm") as folder:
            chats = chat_stream(corpus, tasks, seed)
            state = out / ".llm.checkpoint"
            report["llm"] = asdict(train_llm(chats, tokenizer, llm_tokenizer(pieces, []), folder, minutes_llm, seed, state))
        state.unlink(missing_ok=True)
    if minutes_encoder:
        with replaced(out / "encoder") as folder:
            texts, tokenizer = text_stream(corpus, tasks, seed), encoder_tokenizer(pieces)
            asked, state = kinds({name: tasks[name] for name in LABEL_WEIGHTS}), out / ".encoder.checkpoint"
            report["encoder"] = asdict(train_encoder(texts, tokenizer, asked, folder, minutes_encoder, seed, state))
        state.unlink(missing_ok=True)
    (out / ".pieces.json").unlink()
    (out / "build.json").write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def kept_pieces(path: Path, texts: list[str]) -> Pieces:
    """The vocabulary of `texts`, kept in `path` while a build is under way: learned anew it differs, and a checkpoint would not fit it."""
    source = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if found.get("source") != source:
        found = {"source": source, "pieces": train_pieces(texts)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    return [(piece, score) for piece, score in found["pieces"]]


def tokenizer_texts(corpus: Corpus, tasks: dict[str, Task], seed: int) -> list[str]:
    """What the vocabulary is learned from: each sentence once (no negated ones: they repeat each other), the grammar, the prompts."""
    rng = random.Random(seed)
    texts = [*corpus.captions(), *(row.text for row in (*corpus.jcola, *corpus.jcm)), *("".join(words) for words in corpus.plain)]
    for _ in range(GRAMMAR_TEXTS):
        made = [caption(rng), review(_label(tasks["marcja"], rng), None, rng), tweet(_label(tasks["covid19"], rng), None, rng)]
        made.append(article(_label(tasks["news"], rng), rng))
        texts += [text for text in made if not corpus.evaluation.holds(text)]
    return [*sorted(set(texts)), *prompt_phrases(tasks.values())]


def _label(task: Task, rng: random.Random) -> str:
    return rng.choice(task.label_names)


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A new sibling to write to, which takes `folder`'s place at the end; a model card that stood there is kept."""
    fresh, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    yield fresh
    for path in fresh.iterdir():
        path.chmod(0o644)  # safetensors are written for their owner only
    if (folder / "README.md").is_file():
        shutil.copy(folder / "README.md", fresh)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    main()
