"""What data sets and students were made of, and a student's README.md.

In: an experiment. Out: `Source`s, which meta.json keeps so that `japagen export` knows what their licences ask, and Markdown (a data
set's is written by `curation.dataset`). A card contains no text of gold data or of the user's, and no local path.
"""

import json
from pathlib import Path
from typing import Any

from japagen.config.llm import LLM
from japagen.config.schema import Config
from japagen.curation.dataset import task_range
from japagen.curation.licenses import DEMO, LicensedSource, hub_license, license_lines, name_prefixes
from japagen.experiments.experiment import Experiment
from japagen.hub.models import is_on_hub
from japagen.training.verdict import Verdict

OWN = "the user's own"
"""Licence of texts and labels from the user's files."""


def dataset_sources(experiment: Experiment) -> tuple[LicensedSource, ...]:
    """What a data set was made of: LLMs, texts that weren't written for it, exemplars. None where no LLM takes part."""
    if not experiment.needs_llm:
        return ()
    config, train = experiment.config, experiment.train_gold
    sources = [_llm_source("language model", config.llm, experiment.llm_revision)]
    if config.judge is not None and "judgements" in experiment.keys:
        sources.append(_llm_source("judge", config.judge, experiment.revision_of("judgements")))
    if experiment.annotates:
        sources.append(_texts_source(config))
    if config.shots and train is not None:
        sources.append(LicensedSource("exemplars", f"{train.source}, {config.shots} rows a label", train.license))
    return tuple(sources)


def _texts_source(config: Config) -> LicensedSource:
    """Where unlabelled texts are from: the user's file, else the train split, of which the labels were not read."""
    data, published = config.data, config.task.published
    file = data.unlabelled_file or (data.train_file if data.source == "files" else None)
    if file is not None:
        return LicensedSource("texts", f"files: {Path(file).name}", OWN)
    if data.source == "sample":
        return LicensedSource("texts", "sample (smoke data)", "CC0-1.0")
    return LicensedSource("texts", f"{data.train_source or f'{published.name} train'}, without its labels", published.license)


def model_sources(experiment: Experiment) -> tuple[LicensedSource, ...]:
    """What a student was made of: its encoder, what its data set was made of, gold rows."""
    encoder, train = experiment.config.model, experiment.train_gold
    sources = [LicensedSource("encoder", _public(encoder.id, experiment.encoder_revision), encoder.license), *dataset_sources(experiment)]
    if experiment.learns_gold and train is not None:
        sources.append(LicensedSource("gold rows", train.source, train.license))
    return tuple(sources)


def _llm_source(role: str, llm: LLM, revision: str) -> LicensedSource:
    return LicensedSource(role, _public(llm.id, revision), llm.license, llm.license_note, llm.license_name_prefix)


def _public(model_id: str, revision: str) -> str:
    """'owner/name at COMMIT'; of a local folder its name only."""
    named = model_id if is_on_hub(model_id) or model_id.startswith("package:") else f"local folder {Path(model_id).name}"
    return f"{named} at {revision}"


def model_card(experiment: Experiment, num_rows: int, verdict: Verdict | None = None) -> str:
    """A student's README.md: what it is, what it learned from, whether it learned anything, and what the licences ask."""
    from huggingface_hub import ModelCardData

    config, task, sources = experiment.config, experiment.task, model_sources(experiment)
    seeds = ", ".join(f"{name} {value}" for name, value in {"seed": config.seed, **experiment.draw}.items())
    prefixes = name_prefixes(sources)
    name = "-".join([*prefixes, config.model.name])
    data = ModelCardData(
        language=task.language or "multilingual",
        library_name="transformers",
        pipeline_tag="text-classification",
        base_model=config.model.id if is_on_hub(config.model.id) else None,
        tags=["japagen"],
        **hub_license(sources),
    )
    lines = ["---", data.to_yaml(), "---", "", f"# {name} for {task.title or task.name}", ""]
    lines += [f"**Built with {prefix}**\n" for prefix in prefixes]
    lines += [DEMO.format("Its predictions"), ""] if experiment.is_demo else []
    lines += [f"- output: a number, {task_range(task)}" if task.is_regression else f"- labels: {', '.join(task.label_names)}"]
    lines += [f"- method: {config.method.name}; {experiment.protocol}; {num_rows} training rows; {seeds}"]
    if verdict is not None:
        lines += [f"- {'**verdict**' if verdict.is_amiss else 'verdict'}: {verdict.line}"]
    if experiment.needs_llm:
        did = " and ".join((["written"] if "stream" in experiment.keys else []) + (["labelled"] if experiment.annotates else []))
        lines += [f"- training texts {did} by {sources[1].name}"]
    split = " It reads texts split into words by Juman++ v2, one space between them." if config.model.word_splitter else ""
    lines += ["", f"Load it with `transformers.pipeline('text-classification', model=FOLDER)`.{split}", ""]
    return "\n".join([*lines, *license_lines(sources)])


def making(experiment: Experiment) -> dict[str, Any]:
    """How a data set was made, line by line; of files of the user's only their names."""
    config = experiment.config
    made_by = {"method": f"{config.method.name}, prompt {config.prompt.name}", "protocol": experiment.protocol}
    if experiment.options:
        made_by["options"] = ", ".join(f"{name}={_file_name(value)}" for name, value in experiment.options.items())
    if experiment.needs_llm and config.llm.chat_template is not None:
        made_by["chat template"] = Path(config.llm.chat_template).name
    if "stream" in experiment.keys and config.llm.stop:
        made_by["replies end at"] = json.dumps(config.llm.stop_strings, ensure_ascii=False)
    made_by |= {stage: experiment.keys[stage] for stage in experiment.llm_stages}
    return made_by | ({"texts per label asked for": str(config.num_per_label)} if "stream" in experiment.keys else {})


def _file_name(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) else value
