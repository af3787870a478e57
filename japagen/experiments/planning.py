"""From a configuration to an Experiment: which stages its method needs, and their keys.

`plan_experiment` reads the gold data, checks what only they can tell, and fixes every key before anything expensive starts. `stages` makes
the LLM's stages, `training_rows` gives what a student learns from, `scoring` trains the student and scores it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from japagen import gold
from japagen.config.llm import LLM
from japagen.config.schema import Config
from japagen.curation.contamination import EvaluationTexts
from japagen.errors import DataError, UnreachableError
from japagen.experiments.experiment import Experiment
from japagen.experiments.identities import _identities
from japagen.experiments.language import check_language
from japagen.experiments.llm_work import llm_work
from japagen.experiments.served import SERVED, KeysOf, choose_revision
from japagen.hub.models import check_q4, is_on_hub, locate, resolve_revision
from japagen.llm.context import check_context
from japagen.llm.served import read_served_revision
from japagen.llm.template import check_template, template_identity
from japagen.prompts.scaffold import scaffold_of
from japagen.prompts.user_lines import KINDS as LINE_FILES
from japagen.prompts.user_lines import read_lines
from japagen.store import keys
from japagen.store.keys import canonical_json
from japagen.store.stages import LLM_STAGES, STAGES
from japagen.store.store import Store
from japagen.tasks import Example
from japagen.training.limits import check_stated_length
from japagen.training.words import check_splitter

UNRESOLVED = "unresolved"
"""Stands for a commit that can't be found, in plans that are only looked at."""
HELD_OUT = 0.1
"""Share of gold train that a gold arm selects on; the scored split is never seen before the score."""


class Planner:
    """Plans experiments, doing once what they share: reading gold rows, drawing from them, checking prompts against the context."""

    def __init__(self, tentative: bool = False, asks_servers: bool = False) -> None:
        """`tentative`: for a look ahead only; what isn't here yet (a model's commit, a publisher's file) gets a placeholder, and
        `unknown` says why. Every other fault is raised as for a run. `asks_servers`: running servers are asked what they serve, once
        each, and `notes` says what people should know of it; workers must not, since they find it in the plan."""
        self._known: dict[str, Any] = {}
        self._absent: set[str] = set()
        self._tentative, self._asks_servers = tentative, asks_servers
        self.unknown: list[str] = []
        self.notes: list[str] = []

    def plan(self, config: Config, until: Literal["llm", "result"] = "result") -> Experiment:
        """Reads gold data, draws exemplars, resolves revisions and fixes all keys; raises before anything is made.

        `until="llm"`: only the LLM's stages are planned; no encoder is looked at, and gold data only where the LLM is shown or asked them.
        """
        check_language(config)
        task, kind, by_llm = config.task, config.method.kind, until == "llm"
        where = canonical_json([asdict(task), asdict(config.data)])
        evaluation: gold.Split | None = None
        also_scored: dict[str, gold.Split] = {}
        if not by_llm or kind.answers or _shows_gold(config):
            evaluation = self._gold(f"eval {where}", lambda: gold.read_eval(task, config.data))
            also_scored = self._gold(f"also {where}", lambda: gold.read_also_scored(task, config.data)) or {}
        scored = [split for split in (evaluation, *also_scored.values()) if split is not None]
        train_gold = self._train_gold(config, where)
        unlabelled = self._unlabelled(config, where, scored)
        used = f"{config.curate.contamination} {where}"
        if train_gold is not None and scored and _shows_gold(config):
            matches = partial(self._matches, where, scored)
            part = partial(gold.part_from_scored, task, config.data, train_gold, scored, matches, config.curate.contamination)
            train_gold = self._once(f"unscored {used}", part)
        exemplars = self._exemplars(config, train_gold, used)
        encoder_revision, rows = "", ""
        if kind.has_student and not by_llm:
            check_splitter(config.model)
            check_q4(config.model.name, config.model.id, "model")
            locate(config.model.id, "model.id")
            resolve = partial(resolve_revision, config.model.id, config.model.revision, "model.id")
            encoder_revision = self._revision(resolve)
            if not (self._tentative and is_on_hub(config.model.id)):  # it would fetch files
                check = partial(check_stated_length, config.model, encoder_revision)
                self._once(f"length {config.model.max_length} {config.model.id} {encoder_revision}", check)
        if kind.learns_gold:
            drawn = f"gold {config.gold_per_label} {config.shots_seed} {used}"
            rows = UNRESOLVED if train_gold is None else self._once(drawn, partial(_gold_rows_key, config, train_gold))
        judge = config.judge if config.curate.judging != "off" else None
        template = template_identity(config.llm) if kind.has_llm else None
        templates = template, template if judge is None else template_identity(judge, "judge")
        files = {name: path for name in LINE_FILES if kind.writes and (path := getattr(config.prompt, name))}
        lines = {
            name: self._once(f"{name} {task.language} {path}", partial(read_lines, name, path, scaffold_of(task)))
            for name, path in files.items()
        }

        def identities_of(revisions: tuple[str, str]) -> dict[str, dict[str, Any]]:
            return _identities(config, scored, rows, unlabelled, exemplars, lines, revisions, templates, encoder_revision)

        identities = identities_of(self._llm_revisions(config, identities_of) if kind.has_llm else ("", ""))
        identities = {stage: identity for stage, identity in identities.items() if STAGES[stage].by_llm or not by_llm}
        stage_keys = {stage: keys.stage_key(stage, identity) for stage, identity in identities.items()}
        labelled = train_gold if _shows_gold(config) else None
        experiment = Experiment(config, evaluation, also_scored, labelled, unlabelled, exemplars, encoder_revision, identities, stage_keys)
        if f"eval {where}" not in self._absent:
            _check_needs(experiment)
        for stage in experiment.llm_stages:
            llm = experiment.llm_of(stage)
            if not (self._tentative and is_on_hub(llm.id)):  # it would fetch the LLM's tokenizer
                self._check_template(experiment, stage)
                self._once(f"fits {stage_keys[stage]} {llm.max_model_len}", partial(_check_prompts, experiment, stage))
        return experiment

    def _check_template(self, experiment: Experiment, stage: str) -> None:
        llm, revision = experiment.llm_of(stage), experiment.revision_of(stage)
        key = "llm" if llm is experiment.config.llm else "judge"
        what = [llm.chat_template, llm.system_role, llm.chat_template_args, llm.base_url, llm.trust_remote_code, llm.server.extra_args]
        self._once(f"template {key} {llm.id} {revision} {canonical_json(what)}", partial(check_template, llm, revision, key))

    def _llm_revisions(
        self, config: Config, identities_of: Callable[[tuple[str, str]], dict[str, dict[str, Any]]]
    ) -> tuple[str, str]:  # fmt: skip
        """The LLM's and the judge's; of running servers what they tell, see `japagen.experiments.served`."""
        judge = config.judge if config.curate.judging != "off" else None
        writer = self._revision(partial(llm_revision, config.llm))
        judges = writer if judge is None else self._revision(partial(llm_revision, judge, "judge"))

        def keys_of(writer: str, judges: str) -> dict[str, str]:
            identities = identities_of((writer, judges))
            return {stage: keys.stage_key(stage, identities[stage]) for stage in identities}

        if self._asks_servers and _is_to_be_asked(config.llm):
            stages = [stage for stage in LLM_STAGES if stage != "judgements" or judge is None]
            writer = self._served(config, config.llm, stages, lambda found: keys_of(found, judges if judge else found))
        if judge is None:
            return writer, writer
        if self._asks_servers and _is_to_be_asked(judge):
            judges = self._served(config, judge, ["judgements"], partial(keys_of, writer))
        return writer, judges

    def _served(self, config: Config, llm: LLM, stages: Sequence[str], keys_of: KeysOf) -> str:
        def ask() -> tuple[str | None, str]:
            try:
                return read_served_revision(llm), ""
            except UnreachableError as error:
                return None, str(error)

        stated, fault = self._once(f"served {llm.base_url} {llm.id}", ask)
        revision, note = choose_revision(Store(config.store), llm, stated, fault, stages, keys_of)
        self.notes += [note] if note and note not in self.notes else []
        return revision

    def _train_gold(self, config: Config, where: str) -> gold.Split | None:
        """The train split, where its labels take part or its texts serve as unlabelled ones."""
        if not reads_train(config):
            return None
        train: gold.Split | None = self._gold(f"train {where}", lambda: gold.read_train(config.task, config.data))
        if train is None and f"train {where}" not in self._absent:
            why = f"method={config.method.name}" if config.method.kind.learns_gold else f"shots={config.shots}"
            if not _shows_gold(config):
                asks = f"method={config.method.name}" if config.method.kind.annotates else f"curate.prior={config.curate.prior}"
                raise DataError(
                    f"task {config.task.name!r}: {asks} needs unlabelled texts, and there are none; set data.unlabelled_file=FILE"
                )
            raise DataError(
                f"task {config.task.name!r}: {why} needs labelled train rows, and there are none; set data=files data.train_file=FILE"
            )
        return train

    def _unlabelled(self, config: Config, where: str, scored: Sequence[gold.Split]) -> tuple[tuple[str, ...], ...]:
        """Different texts, drawn by shots_seed where fewer are asked for; of the train split its labels aren't looked at."""
        if not _needs_unlabelled(config):
            return ()
        num, file, kind = config.method.num_texts, config.data.unlabelled_file, config.method.kind
        if file is not None:
            texts = self._once(f"unlabelled {where}", lambda: gold.read_unlabelled(config.task, file))
        elif (train := self._train_gold(config, where)) is not None:
            texts = self._once(f"unlabelled {where}", lambda: tuple(example.texts for example in train.examples))
        else:  # a publisher's file that isn't here yet
            return tuple((f"{UNRESOLVED} {number}",) * config.task.num_turns for number in range(num or 0))
        if not kind.writes and config.curate.contamination == "drop":  # what curation drops, the LLM is asked about in vain
            matches = partial(self._matches, where, scored)
            self._once(f"texts left {where}", partial(gold.check_texts_left, config.task, config.data, texts, scored, matches))
        return self._once(f"unlabelled {num} {config.shots_seed} {where}", lambda: gold.draw_texts(texts, num, config.shots_seed))

    def _matches(self, where: str, scored: Sequence[gold.Split], rows: Sequence[tuple[str, ...]]) -> list[bool]:
        """Whether each row matches the scored ones; those are indexed once for all experiments on them."""
        evaluation: EvaluationTexts = self._once(f"evaluation texts {where}", partial(evaluation_texts, scored))
        return evaluation.matches(rows)

    def _exemplars(self, config: Config, train_gold: gold.Split | None, where: str) -> dict[str, tuple[Example, ...]]:
        task = config.task
        if config.shots == 0 or not config.method.kind.has_llm:
            return {}
        if train_gold is None:
            texts = (f"{UNRESOLVED} {config.shots} {config.shots_seed}",) * task.num_turns
            return {task.labels[0].name: (Example(texts, task.labels[0].name),)}
        drawn = f"shots {config.shots} {config.shots_seed} {where}"
        return self._once(drawn, lambda: gold.draw_exemplars(task, train_gold, config.shots, config.shots_seed))

    def _revision(self, resolve: Callable[[], str]) -> str:
        try:
            return resolve()
        except UnreachableError as error:
            return self._placeholder(error, UNRESOLVED)

    def _gold(self, what: str, read: Callable[[], Any]) -> Any:
        try:
            return self._once(what, read)
        except UnreachableError as error:
            self._known[what] = self._placeholder(error, None)
            self._absent.add(what)
            return None

    def _placeholder(self, error: UnreachableError, value: Any) -> Any:
        if not self._tentative:
            raise error
        self.unknown += [] if str(error) in self.unknown else [str(error)]
        return value

    def _once(self, what: str, make: Callable[[], Any]) -> Any:
        if what not in self._known:
            self._known[what] = make()
        return self._known[what]


def evaluation_texts(scored: Sequence[gold.Split]) -> EvaluationTexts:
    """The texts of all scored splits, that training texts are held against."""
    return EvaluationTexts(text for split in scored for example in split.examples for text in example.texts)


def plan_experiment(config: Config) -> Experiment:
    """One experiment, checked; see `Planner.plan`."""
    return Planner().plan(config)


def _shows_gold(config: Config) -> bool:
    """Whether labels of gold train rows take part."""
    return config.method.kind.learns_gold or (config.shots > 0 and config.method.kind.has_llm)


def reads_train(config: Config) -> bool:
    """Whether the train split is read: for its labels, or for its texts alone."""
    return _shows_gold(config) or (_needs_unlabelled(config) and config.data.unlabelled_file is None)


def _needs_unlabelled(config: Config) -> bool:
    return config.method.kind.annotates or (config.method.kind.writes and config.curate.prior == "estimated")


def _check_needs(experiment: Experiment) -> None:
    """Raises where the data that a setting reads are missing."""
    config, name = experiment.config, experiment.task.name
    if experiment.evaluation is None and not config.method.kind.has_student:
        raise DataError(f"task {name!r}: method=prompting is scored on gold rows, and there are none; set data=files data.eval_file=FILE")
    if experiment.evaluation is None and config.curate.prior == "oracle":
        raise DataError(
            f"task {name!r}: curate.prior=oracle counts the scored split's labels, and there is none; set data=files data.eval_file=FILE"
        )


def _check_prompts(experiment: Experiment, stage: str) -> None:
    """Raises ConfigError where the stage's longest prompt and reply don't fit the LLM's context."""
    for prompts, num_tokens in llm_work(experiment, stage).longest():
        check_context(experiment.llm_of(stage), experiment.revision_of(stage), prompts, experiment.task.name, num_tokens)


def _gold_rows_key(config: Config, train_gold: gold.Split) -> str:
    train, valid = gold_rows(config, train_gold)
    return f"gold:{keys.examples_checksum(train)}:{keys.examples_checksum(valid)}"


def _is_to_be_asked(llm: LLM) -> bool:
    return llm.base_url is not None and llm.revision is None


def llm_revision(llm: LLM, setting: str = "llm") -> str:
    """The LLM's commit or checksum; of a server that runs already only what the YAML says."""
    if llm.base_url is not None:
        return llm.revision or SERVED
    check_q4(llm.name, llm.id, setting)
    return resolve_revision(llm.id, llm.revision, f"{setting}.id")


def gold_rows(config: Config, train_gold: gold.Split) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Rows to train on and to select on: all but a held-out tenth, or k a label and none."""
    if config.gold_per_label == "all":
        return gold.hold_out(train_gold.examples, HELD_OUT, config.shots_seed)
    return gold.draw_per_label(config.task, train_gold, int(config.gold_per_label), config.shots_seed), ()
