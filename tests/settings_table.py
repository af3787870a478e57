"""Experiments that between them turn every setting that enters a key: on demo models and the sample, so that they are planned anywhere.

One experiment a line, as its overrides. FILES stands for a folder that `write_files` fills, PUBLISHED for a publisher's files in it, HUB
(of a model's group) for a commit, so that nothing is fetched.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from japagen.config.composition import CONF, hydra_value
from japagen.config.schema import Config, register_schema
from japagen.config.validation import to_config

TABLE: Mapping[str, tuple[str, ...]] = {
    # what the LLM is told and asked
    "task=jcola": (
        "", "shots=3", "shots=3 shots_seed=1", "shots=3 seed=1", "seed=1", "num_per_label=50",
        "synthesis.seed=1", "synthesis.texts_per_request=4", "synthesis.temperatures=[0.7,1.3]",
        "synthesis.verbalized=true llm.max_model_len=4096",
        "prompt.variants=true", "prompt.personas=FILES/personas.txt", "prompt.style=FILES/personas.txt",
        "task.system=x", "task.labels=[{name:acceptable,word:w,instruction:i},{name:unacceptable,word:v,instruction:j}]",
        "task.max_chars=40", "task.min_chars=3", "task.language=''", "task.several_lines=true", "task.gold_chars=20",
        "task.genre=messages", "task.label_words=anywhere",
        "task.labels=[{name:acceptable,word:w,instruction:i,synonyms:[s]},{name:unacceptable,word:v,instruction:j}]",
        "task.metric=accuracy",
    ),
    "task=jcola prompt=kadg": (
        "", "shots=3", "prompt.variants=true", "prompt.personas=FILES/personas.txt",
        "task.attributes=[{name:a,values:[b,c],phrase:'{value}'}]",
        "task.labels=[{name:acceptable,word:w,instruction:i,described:d},{name:unacceptable,word:v,instruction:j}]",
    ),
    "task=jcola prompt=kadg_auto": (
        "", "shots=3", "llm.system_role=false", "llm.dtype=bfloat16", "prompt.personas=FILES/personas.txt", "llm.stop=['。']",
    ),
    # a task in another language
    "task=jcola task.language=en task.system='英語の文を書く担当者です。' llm.demo=false": (
        "", "shots=3", "synthesis.verbalized=true llm.max_model_len=4096", "prompt.personas=FILES/personas.txt", "prompt.name=kadg_auto",
        "curate.judging=drop", "curate.judging=drop curate.judge_answer=channel", "curate.keep_likeliest=0.5", "method.name=prompting",
        "method.name=prompting method.answer=free", "method.name=prompting method.answer=channel",
        "llm.chat_template=plain method.name=prompting method.answer=channel",
    ),
    # the LLM and the encoder
    "task=jcola llm=demo": (
        "llm.dtype=bfloat16", "llm.quantization=fp8", "llm.system_role=false", "+llm.chat_template_args.enable_thinking=false",
        "llm.reasoning_parser=qwen3", "llm.sampling.temperature=0.9", "llm.sampling.top_p=0.8", "llm.sampling.top_k=20",
        "llm.sampling.repetition_penalty=1.1", "llm.sampling.max_tokens=64",
        "+llm.request_args.reasoning_effort=none",
        "llm.base_url=http://127.0.0.1:9/v1", "llm.base_url=http://127.0.0.1:9/v1 llm.revision=r",
        "llm.stop=['。']", "llm.chat_template=FILES/own.jinja", "llm.chat_template=plain shots=3",
        "llm.chat_template=plain shots=3 llm.stop=['。']", "llm.chat_template=plain shots=3 curate.keep_likeliest=0.5",
        "llm.chat_template=plain shots=3 curate.judging=drop", "llm.chat_template=plain shots=3 task.several_lines=true",
    ),
    "task=jcola llm=gemma-3-12b llm.HUB": ("", "shots=3"),
    "task=jcola llm=llm-jp-4-32b-a3b-thinking llm.HUB": ("", "method.name=prompting method.answer=free method.max_tokens=2048"),
    "task=jcola model=demo": (
        "model.max_length=64", "model.min_steps=60", "model.bf16=false", "model.word_splitter=jumanpp", "model.learning_rate=1e-4",
    ),
    "task=jcola model=deberta-v2-base-japanese model.HUB": ("", "method.name=gold"),
    # how a student is trained
    "task=jcola train=default": (
        "train.epochs=2", "train.batch_size=16", "train.learning_rate=3e-5", "train.warmup_ratio=0.2", "train.weight_decay=0.1",
        "train.label_smoothing=0.15", "train.ensemble_momentum=0.8", "train.ensemble_momentum=0.8 train.ensemble_threshold=0.6",
        "train.robust_q=0.7", "train.patience=3", "train.validations_per_epoch=2", "train.steps=50", "train.min_steps=50",
    ),
    # which texts become rows
    "task=jcola curate=basic": (
        "curate.near_duplicates=0.7", "curate.near_duplicates=null", "curate.contamination=off", "curate.contamination=report",
        "curate.keep_likeliest=0.5", "curate.keep_likeliest=0.24 shots=3",
        "curate.judging=drop", "curate.judging=replace", "curate.judging=soften", "curate.judging=soften curate.judge_threshold=0.7",
        "curate.judging=drop curate.judge_answer=channel", "curate.judging=drop shots=3", "curate.judging=drop shots=3 seed=1",
        "curate.judging=drop curate.judge_answer=channel shots=3", "curate.judging=drop curate.keep_likeliest=0.5",
        "curate.prior=uniform", "curate.prior=given curate.prior_values={acceptable:0.7,unacceptable:0.3}", "curate.prior=oracle",
        "curate.prior=estimated", "curate.prior=estimated data.unlabelled_file=FILES/texts.csv",
    ),
    "task=jcola curate.judging=soften +llm@judge=demo": (
        "judge.name=other judge.dtype=bfloat16", "judge.system_role=false", "+judge.chat_template_args.enable_thinking=true",
        "judge.quantization=fp8", "judge.dtype=bfloat16 curate.judge_answer=channel", "judge.dtype=bfloat16 shots=3",
        "judge.base_url=http://127.0.0.1:9/v1", "judge.chat_template=plain", "judge.chat_template=FILES/own.jinja",
    ),
    "task=jcola curate.judging=drop +llm@judge=qwen3-8b judge.HUB": ("", "curate.judging=replace curate.judge_answer=channel"),
    # methods
    "task=jcola method=gold": ("", "seed=1", "gold_per_label=3", "gold_per_label=3 shots_seed=1", "gold_per_label=3 train.steps=50"),
    "task=jcola method=mixed": (
        "", "shots=3", "method.gold_weight=2.5", "gold_per_label=3", "curate.prior=uniform",
        "curate.judging=soften curate.keep_likeliest=0.5",
    ),
    "task=jcola method=annotate": (
        "", "shots=3", "shots=3 shots_seed=1", "seed=1", "shots=3 seed=3", "method.answer=channel", "method.answer=channel shots=3",
        "method.answer=choice", "method.answer=free", "method.answer=free method.max_tokens=8", "method.answer=choice shots=3",
        "method.calibrate=true", "method.template=1", "method.num_texts=4", "method.num_texts=4 shots_seed=1",
        "data.unlabelled_file=FILES/texts.csv", "data.unlabelled_file=FILES/texts.csv method.num_texts=2", "task.question=x",
        "task.labels=[{name:acceptable,word:w,instruction:i,meaning:m},{name:unacceptable,word:v,instruction:j}]",
        "curate.prior=uniform", "curate.prior=estimated", "curate.prior=oracle", "curate.contamination=off", "train.robust_q=0.7",
    ),
    "task=jcola method=annotate_japagen": (
        "", "shots=3", "method.answer=channel", "data.unlabelled_file=FILES/texts.csv", "curate.keep_likeliest=0.5", "curate.judging=drop",
        "curate.prior=estimated", "method.num_texts=4",
    ),
    "task=jcola method=prompting": (
        "", "shots=3", "shots=3 shots_seed=1", "seed=1", "shots=3 seed=3", "method.answer=channel", "method.answer=channel shots=3",
        "method.answer=choice", "method.answer=free", "method.answer=free method.max_tokens=8", "method.calibrate=true",
        "method.template=2", "task.question=x", "task.metric=accuracy", "prompt.name=kadg", "llm.system_role=false",
        "llm.chat_template=plain", "llm.chat_template=plain method.answer=channel", "llm.chat_template=plain task.several_lines=true",
        "llm.chat_template=plain method.answer=free shots=3",
        "method.answer=free llm.stop=['。']",
    ),
    # tasks
    "task=jnli": (
        "", "shots=3", "curate.max_same_first=2", "task.first_instruction=x", "prompt.name=kadg", "prompt.name=kadg_auto",
        "prompt.personas=FILES/personas.txt", "method.name=gold", "method.name=mixed shots=3", "method.name=annotate",
        "method.name=annotate method.answer=channel", "method.name=prompting", "method.name=prompting shots=3",
        "curate.judging=drop curate.keep_likeliest=0.5 shots=3", "llm.chat_template=plain shots=3",
    ),
    "task=jsts": (
        "", "shots=3", "prompt.name=kadg shots=3", "method.name=gold", "method.name=mixed train.robust_q=0.7", "method.name=annotate",
        "method.name=prompting", "method.name=prompting method.answer=channel", "curate.judging=soften", "task.metric=pearson",
        "curate.prior=estimated",
    ),
    **{
        f"task={task}": ("", "shots=3", "prompt.name=kadg", "method.name=gold", "method.name=annotate", "method.name=prompting")
        for task in ("marcja", "covid19", "news", "jcm")
    },
    "task=banking77": ("method.name=gold", "method.name=gold gold_per_label=3"),  # no LLM: the demo LM knows no English
    # where gold rows are from
    "task=jcola data=files": (
        "", "data.eval_file=FILES/valid.jsonl", "data.eval_file=FILES/valid.jsonl data.train_file=FILES/train.jsonl shots=2",
        "data.train_file=FILES/train.jsonl shots=2", "data.train_file=FILES/train.jsonl method.name=gold",
        "data.train_file=FILES/train.jsonl method.name=annotate", "data.unlabelled_file=FILES/texts.csv method.name=annotate",
        "data.eval_file=FILES/valid.jsonl method.name=prompting", "data.eval_file=FILES/own.csv task.fields=[body] task.label_field=class",
        "data.eval_file=FILES/valid.jsonl task.label_map.1=unacceptable task.label_map.0=acceptable",
    ),
    "task=jcola PUBLISHED": (
        "", "shots=2", "data.split=out_of_domain_valid", "task.published.also_scored=[]", "method.name=gold", "method.name=prompting",
        "method.name=prompting task.published.also_scored=[]", "curate.prior=oracle",
    ),
    # all at once
    "task=jcola method=mixed prompt=kadg_auto +llm@judge=demo": (
        "shots=3 prompt.variants=true prompt.personas=FILES/personas.txt synthesis.temperatures=[0.7,1.3] synthesis.verbalized=true"
        " llm.max_model_len=4096 llm.reasoning_parser=qwen3 llm.sampling.top_k=20 judge.dtype=bfloat16 curate.judging=soften"
        " curate.keep_likeliest=0.5 curate.prior=estimated method.gold_weight=2.5 gold_per_label=3 model.word_splitter=jumanpp"
        " train.ensemble_momentum=0.8 train.robust_q=0.7",
    ),
}  # fmt: skip
"""Overrides -> further ones, each making an experiment with them; '': with the former alone."""

UNCHANGED = {
    "task=jcola store=elsewhere device=cpu logger.wandb=off workers=2 shards=2 synthesis.concurrency=3": "task=jcola",
    "task=jcola synthesis.max_rows_factor=9 llm.max_model_len=900 llm.server.port=8000 train.keep=none": "task=jcola",
    "task=jcola llm.name=x model.name=x llm.seen=[] llm.demo=false model.demo=false llm.revision=r": "task=jcola",
    "task=jcola data.cache=elsewhere data.mirror=elsewhere data.strip_source=false": "task=jcola",
    "task=jcola prompt.personas=FILES/elsewhere/people.txt": "task=jcola prompt.personas=FILES/personas.txt",
    "task=jcola method=annotate data.unlabelled_file=FILES/elsewhere/texts.jsonl":
        "task=jcola method=annotate data.unlabelled_file=FILES/texts.csv",
    "task=jcola data=files data.eval_file=FILES/elsewhere/valid.csv data.split=test":
        "task=jcola data=files data.eval_file=FILES/valid.jsonl",
    "task=jcola method=gold shots=3": "task=jcola method=gold",
    "task=jcola method=gold task.language=en": "task=jcola method=gold",
    "task=jcola llm.chat_template=FILES/elsewhere/chats.jinja": "task=jcola llm=demo llm.chat_template=FILES/own.jinja",
    "task=jcola method=prompting llm.stop=['。']": "task=jcola method=prompting",
    "task=jcola method=gold llm.chat_template=plain llm.stop=['。']": "task=jcola method=gold",
}  # fmt: skip
"""Overrides -> a line of the table that has the same keys: what is changed is where and how, or what a file is called."""

WITH_MIRROR = (
    "task=jcola data=published shots=3",
    "task=jcola data=published method=prompting",
    "task=jnli data=published data.split=test",
    "task=jnli data=published data.train_source=jnli_neg shots=3",
    "task=jsts data=published data.split=test method=gold",
    "task=news data=published shots=3",
    "task=news data=published data.strip_source=false shots=3",
    "task=news data=published method=annotate method.num_texts=100",
    "task=jcm data=published shots=3",
    "task=banking77 data=published method=gold",
)
"""Experiments on gold data of the publishers'."""

LINES = [f"{base} {more}".strip() for base, changes in TABLE.items() for more in changes]
COMMIT = "0" * 40
TEXTS = (
    "犬が走る。",
    "猫が昼寝をする。",
    "本を読みました。",
    "駅まで歩いていく。",
    "雨が止んだら出かけよう。",
    "昨日を行くます。",
    "空に青いだ。",
)
ROWS = [{"sentence": text, "label": int(number < 4)} for number, text in enumerate(TEXTS)]
PERSONS = ("店の主人", "学生", "定年を迎えた人")
SPLITS = {
    "train": "in_domain_train-v1.0.json",
    "valid": "in_domain_valid-v1.0.json",
    "out_of_domain_valid": "out_of_domain_valid-v1.0.json",
}
PUBLISHED = [
    "data=published",
    "data.mirror=FILES/mirror",
    *(f"task.published.splits.{split}.{check}" for split in SPLITS for check in ("rows=0", "sha256=''")),
]


def write_files(folder: Path) -> None:
    """What the lines name: persons, labelled rows, texts without labels, and a publisher's folder; `elsewhere` the same once more."""
    mirror = folder / "mirror" / "JCoLA" / "jcola-v1.0"
    for one in (folder / "elsewhere", mirror):
        one.mkdir(parents=True)
    for name in ("personas.txt", "elsewhere/people.txt"):
        (folder / name).write_text("\n".join(PERSONS) + "\n", encoding="utf-8")
    for name in ("own.jinja", "elsewhere/chats.jinja"):
        (folder / name).write_text("{% for turn in messages %}{{ turn['role'] }}: {{ turn['content'] }}\n{% endfor %}", encoding="utf-8")
    texts = [{"sentence": text} for text in reversed(TEXTS)]
    _write_csv(folder / "texts.csv", texts)
    _write_json_lines(folder / "elsewhere" / "texts.jsonl", texts)
    _write_json_lines(folder / "train.jsonl", ROWS)
    _write_json_lines(folder / "valid.jsonl", _other_rows(1)[2:6])
    _write_csv(folder / "elsewhere" / "valid.csv", _other_rows(1)[2:6])
    _write_csv(folder / "own.csv", [{"body": row["sentence"], "class": row["label"]} for row in ROWS[1:5]])
    for number, name in enumerate(SPLITS.values()):
        _write_json_lines(mirror / name, _other_rows(number)[number:])


def _other_rows(number: int) -> list[dict[str, str]]:
    """The rows with other texts for each number: no split shares a row with another."""
    return [{**row, "sentence": f"{row['sentence']}{'本当に。' * number}"} for row in ROWS]


@contextmanager
def a_splitter(folder: Path) -> Iterator[None]:
    """Stand-ins for Juman++ and rhoknp, in `folder`: a plan looks only whether they are there."""
    (folder / "rhoknp").mkdir()
    (folder / "rhoknp" / "__init__.py").touch()
    (folder / "jumanpp").touch(mode=0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        patch.syspath_prepend(folder)
        yield


def _write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")


def overrides_of(line: str, folder: Path) -> list[str]:
    """A line's overrides as Hydra takes them; `folder`: where FILES is."""
    words = [word for one in line.split() for word in (PUBLISHED if one == "PUBLISHED" else [one])]
    return [_filled(word.replace(".HUB", f".revision={COMMIT}"), folder) for word in words]


def _filled(override: str, folder: Path) -> str:
    key, _, value = override.partition("=FILES")
    return f"{key}={hydra_value(f'{folder}{value}')}" if value else override


def compose_line(line: str, folder: Path) -> Config:
    """The line's checked configuration.

    A composition takes 130 ms, so lines share that of their groups; single values are then set as Hydra sets them.
    """
    overrides = overrides_of(line, folder)
    groups = tuple(one for one in overrides if _is_group(one))
    composed = _composed(groups).copy()
    parsed = OverridesParser.create().parse_overrides([one for one in overrides if not _is_group(one)])
    for one in parsed:
        OmegaConf.update(composed, one.key_or_group, one.value(), merge=True, force_add=one.is_add())
    return to_config(composed)


def _is_group(override: str) -> bool:
    return (CONF / override.lstrip("+").partition("=")[0].partition("@")[0]).is_dir()


@cache
def _composed(groups: tuple[str, ...]) -> DictConfig:
    register_schema()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(groups))
