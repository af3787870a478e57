"""The configuration's schema: dataclasses under the YAML groups of conf/.

Hydra composes conf/ into a DictConfig typed by these classes; `japagen.config.validation` turns it once into plain dataclasses, and all
that comes after takes those. Settings are of two halves: identity (what is made) enters keys, see
`japagen.experiments.identities`; running (where and how fast it is made) never does. A field or its section states `running`, the allowed
values and the rest of `japagen.config.fields.Facts`.
"""

from dataclasses import dataclass, field
from typing import Any, Optional

from hydra.core.config_store import ConfigStore

from japagen.config.fields import setting
from japagen.config.listing import list_settings_of
from japagen.config.llm import LLM
from japagen.config.methods import METHODS, MethodKind
from japagen.config.yaml_texts import check_files_of
from japagen.tasks import Task


@dataclass
class Encoder:
    """A compact encoder that becomes the student."""

    name: str = "???"
    """The encoder's name in tables and of its YAML file."""
    id: str = "???"
    """Hub id, local folder, or `package:` and a folder of this package."""
    revision: Optional[str] = None
    """A commit, branch or tag, see LLM.revision."""
    max_length: Optional[int] = setting(None, least=8)
    """Tokens a text (or pair) is cut to; none: from the task's characters, at most what the encoder takes (japagen.training.limits)."""
    learning_rate: float = 2e-5
    """The usual one for this encoder; the default of train.learning_rate."""
    min_steps: int = setting(400, least=0)
    """The default of train.min_steps."""
    bf16: bool = True
    """bf16 on GPUs; false for encoders that are known to fail under it."""
    word_splitter: str = setting("", choices=("", "jumanpp"))
    """'jumanpp' where words must be split before the tokenizer: needs Juman++ and rhoknp (japagen.training.words)."""
    trust_remote_code: bool = False
    """Whether code that comes with the model may run."""
    license: str = "unknown"
    """The weights' licence."""
    seen: list[str] = field(default_factory=list)
    """Gold labels known to be in its training, in the format of LLM.seen."""
    verified: str = "never"
    """never, or a date and hardware, see LLM.verified."""
    demo: bool = False
    """Whether results mean nothing, since the encoder is a toy."""


@dataclass
class Method:
    """Which way leads to predictions: what the student learns from, or that the LLM answers itself."""

    name: str = setting(
        "japagen",
        choices=tuple(METHODS),
        is_named=False,
        is_option=False,
    )
    """japagen: texts written by the LLM; gold: the task's labelled train split; mixed: both; annotate: unlabelled texts that the LLM
    labels; annotate_japagen: those and written ones; prompting: no student, the LLM answers."""
    answer: str = setting("label", choices=("label", "channel", "choice", "free"))
    """How the LLM answers (prompting, annotate): label or channel (probabilities of whole label words, or of the text under each
    label's request), choice (one of the label words is forced), free (it writes what it likes)."""
    template: Optional[int] = setting(None, least=0, repeats=True)
    """Wording of the question, 0 to 2; none: seed mod 3, so that a sweep over seeds goes through all."""
    calibrate: bool = False
    """answer=label: divided by the probabilities of a text without content (contextual calibration, Zhao et al. 2021)."""
    max_tokens: int = setting(32, least=1)
    """answer=choice and free: longest reply; an LLM that thinks first needs thousands."""
    gold_weight: float = setting(1.0, above=0)
    """mixed: what a gold row counts in the loss; a written one counts 1."""
    num_texts: Optional[int] = setting(None, least=1)
    """annotate: how many unlabelled texts, drawn by shots_seed; none: all."""

    @property
    def kind(self) -> MethodKind:
        """What takes part in the method."""
        return METHODS[self.name]


@dataclass
class Prompt:
    """The prompt's variant."""

    name: str = setting("base", choices=("base", "kadg", "kadg_auto"), is_option=False)
    """base: the task described and one instruction a label; kadg: with the task's knowledge (attributes, described labels); kadg_auto:
    with attributes that the LLM named itself."""
    variants: bool = False
    """Each request takes the next of a label's `variants`, alternatives to its instruction, in turn with its instruction."""
    personas: Optional[str] = setting(None, local=True)
    """Text file, one person a line; each request is made in the name of one."""
    style: Optional[str] = setting(None, local=True)
    """Text file of your own texts, one a line, without labels; each request shows one whose style the reply is to follow."""


@dataclass
class Synthesis:
    """How the stream of texts is made."""

    seed: int = setting(0, least=0, repeats=True)
    """The stream's; `draw` unless set."""
    texts_per_request: int = setting(8, least=1)
    """Texts one request asks for (the API's n)."""
    temperatures: list[float] = setting(factory=list, least=0)
    """One a request, in turn; none: llm.sampling.temperature."""
    verbalized: bool = False
    """Verbalized sampling (Zhang et al. 2025): one reply lists texts_per_request texts with their probabilities, in place of n replies."""
    max_rows_factor: float = setting(5.0, least=1, is_option=False)
    """Budget: at most this many times num_per_label replies a label (and never fewer than 200)."""
    concurrency: Optional[int] = setting(None, least=1, running=True, local=False)
    """Open requests; none: found while running."""


@dataclass
class Curate:
    """Which texts become training rows. The filters that need no model are always on."""

    name: str = setting("basic", is_option=False)
    """The filters' name in tables and of their YAML file."""
    max_same_first: int = setting(4, least=1)
    """Pairs: a first sentence is accepted at most this often per label."""
    near_duplicates: Optional[float] = setting(0.8, above=0, most=1, or_else=", or null")
    """Texts of one label whose character 3-grams overlap so much (Jaccard, above 0, up to 1) count as one; none: only exact repeats."""
    judging: str = setting("off", choices=("off", "drop", "replace", "soften"))
    """What an LLM's judgement of a text's label does: off, drop (rows it disagrees with), replace (their label), soften (soft labels)."""
    judge_answer: str = setting("label", choices=("label", "channel"))
    """How it judges: label or channel, see method.answer."""
    judge_threshold: float = setting(0.5, above=0, most=1)
    """drop: rows whose label it finds less probable than this go; replace: labels it finds at least as probable as this are taken."""
    keep_likeliest: float = setting(1.0, above=0, most=1)
    """Share of each label's texts that is kept, those first that the LLM finds most probable under the label's request; 1: all."""
    prior: str = setting("as_made", choices=("as_made", "uniform", "given", "estimated", "oracle"))
    """Which label frequencies the weighted rows have: as_made, uniform, given, estimated (from unlabelled texts), oracle (the scored
    split's counts: for comparison only)."""
    prior_values: Any = None
    """prior=given: {label: frequency}; they sum to 1."""
    contamination: str = setting("drop", choices=("off", "report", "drop"))
    """Training rows that match evaluation texts (japagen.curation.contamination), written, annotated or gold, and exemplars: drop takes
    them out, report counts and keeps them (for comparison with scores on a whole train split), off compares nothing."""


@dataclass
class Train:
    """How a student is trained."""

    epochs: int = setting(4, least=1)
    """Times over the rows; fewer where validation stops it, more where that is less than min_steps."""
    min_steps: int = setting(400, least=0, is_option=False)
    """Least optimiser steps, however few the rows; the default is model.min_steps. Training never stops early before them."""
    steps: Optional[int] = setting(None, least=1)
    """Exactly so many optimiser steps, whatever epochs and min_steps say, without early stopping; none: by those two."""
    batch_size: int = setting(32, least=1)
    """Rows of an optimiser step."""
    learning_rate: float = setting(2e-5, above=0, is_option=False)
    """The highest; the default is model.learning_rate."""
    warmup_ratio: float = setting(0.1, least=0)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = setting(0.01, least=0)
    """AdamW's."""
    label_smoothing: float = setting(0.0, least=0, below=1)
    """Share of a label's probability that all labels are given evenly."""
    ensemble_momentum: float = setting(0.0, least=0, below=1, at_least="off")
    """Temporal ensembling (Laine and Aila 2017): how slowly the mean of a row's earlier predictions moves; 0: off, SuperGen: 0.8."""
    ensemble_threshold: float = setting(0.8, least=0, below=1)
    """Rows count only where that mean gives their label at least this (SuperGen: 0.8); of a soft label's likeliest one at least this part.
    A label with fewer than 16 such rows keeps its likelier half."""
    robust_q: float = setting(0.0, least=0, most=1, at_least="cross entropy")
    """Generalised cross entropy (Zhang and Sabuncu 2018): rows found improbable weigh less; 0: cross entropy, theirs: 0.7."""
    patience: int = setting(2, least=1)
    """Validations without improvement before training stops."""
    validations_per_epoch: int = setting(1, least=1)
    """How often the student is scored on its validation rows. Where there are more steps than `epochs` takes, as often, evenly over all."""
    keep: Optional[str] = setting(None, choices=("all", "best_seed", "none"), running=True, local=False)
    """Weights kept once their result is there: all, best_seed (by validation rows) or none; null: all, in a sweep best_seed."""


@dataclass
class Data:
    """Which gold data score the student (and give exemplars and gold training rows)."""

    source: str = setting("sample", choices=("sample", "published", "files"), is_named=False)
    """sample: smoke data in the package; published: the publisher's files; files: your own."""
    split: str = "valid"
    """The split that is scored."""
    train_source: Optional[str] = None
    """A named stand-in for the train split."""
    train_file: Optional[str] = setting(None, local=True)
    """source=files: labelled rows for exemplars and gold training."""
    eval_file: Optional[str] = setting(None, local=True)
    """source=files: labelled rows for scoring."""
    unlabelled_file: Optional[str] = setting(None, local=True)
    """Texts without labels, for method=annotate and curate.prior=estimated; none: the train split's texts, their labels not read."""
    strip_source: bool = True
    """Livedoor articles: site names, columns, links and footers are stripped, because they give the label away."""
    cache: str = setting("~/.cache/japagen", running=True)
    """Where published files are kept."""
    mirror: Optional[str] = setting(None, running=True)
    """Folder laid out like the publishers' files; looked at before the cache and the network."""


@dataclass
class Logger:
    """What Weights & Biases gets."""

    wandb: str = setting("auto", choices=("auto", "online", "offline", "off"))
    """auto (online when logged in, else offline), online, offline or off."""
    project: str = "japagen"
    """W&B project of the runs."""
    entity: Optional[str] = None
    """User or team; none: the account's own."""
    upload: str = setting("none", choices=("none", "data", "all"))
    """Artifacts: none, data (the data set) or all (also the student)."""
    upload_texts: bool = False
    """Whether a data set with texts that no LLM wrote (users', gold) may be one of them."""


@dataclass
class Step:
    """What SLURM is asked for, for one job of a kind."""

    partition: Optional[str] = None
    """sbatch --partition; this and the next four: none leaves the choice to the cluster."""
    account: Optional[str] = None
    """sbatch --account."""
    qos: Optional[str] = None
    """sbatch --qos."""
    constraint: Optional[str] = None
    """sbatch --constraint."""
    exclude: Optional[str] = None
    """sbatch --exclude."""
    gpus: int = setting(1, least=0)
    """GPUs a job takes; LLM jobs take llm.gpus instead."""
    gpu_option: str = "gres=gpu:{gpus}"
    """How this site asks for GPUs, e.g. gres=gpu:a100:{gpus} or gpus-per-node={gpus}; empty: jobs without GPUs."""
    cpus: int = setting(4, least=1)
    """CPU cores a job takes."""
    mem_gb: Optional[float] = None
    """Memory a job takes; none: as the cluster has it."""
    time_min: int = setting(240, least=1)
    """A job's time limit."""
    signal_s: int = setting(120, least=1)
    """Seconds before the time limit at which the job is signalled to checkpoint."""
    setup: list[str] = field(default_factory=list)
    """Lines of shell before the job, e.g. `module load cuda`."""
    python: Optional[str] = None
    """Command that runs Python, e.g. `apptainer exec --nv image.sif python`; none: this interpreter."""
    use_srun: bool = True
    """Whether the job's command is started by srun."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further sbatch options: {reservation: night}."""
    requeue: bool = True
    """Whether jobs may be put back into the queue; false: they end 'unfinished', and the same command goes on."""
    throttle: Optional[int] = setting(None, least=1)
    """Jobs of one array at a time; none: as many as there is room for."""
    side_by_side: int = setting(1, least=1)
    """With pack=k: how many of a job's k students run at once on its GPU."""


@dataclass
class Site:
    """A cluster."""

    name: str = "default"
    """The cluster's name, of its YAML file."""
    llm: Step = field(default_factory=Step)
    """Jobs with an LLM's server."""
    student: Step = field(default_factory=Step)
    """Jobs that train students."""
    max_array: Optional[int] = setting(None, least=1)
    """Longest array; none: the cluster's MaxArraySize is asked for."""
    poll_s: float = setting(10.0, least=1)
    """Seconds between two looks at the queue, one call for all jobs."""
    store: str = "outputs/store"
    """Where everything made is kept unless `store` or JAPAGEN_STORE says otherwise; all nodes must see it."""
    environment: dict[str, str] = field(default_factory=dict)
    """Set in every job: HF_HOME, VLLM_CACHE_ROOT, …"""
    scratch: Optional[str] = None
    """Node-local folder for temporary files (TMPDIR of every job)."""
    offline: bool = True
    """Nodes have no internet: jobs run with HF_HUB_OFFLINE=1 and W&B offline; submission refuses what `japagen fetch` must bring first."""


@dataclass
class Config:
    """One experiment."""

    task: Task = field(default_factory=Task)
    """What is classified."""
    llm: LLM = field(default_factory=LLM)
    """Who writes the texts, or answers."""
    judge: Optional[LLM] = None
    """Judges texts where curate.judging says so; none: the LLM that wrote them. Another one: +llm@judge=NAME."""
    model: Encoder = field(default_factory=Encoder)
    """What becomes the student."""
    method: Method = field(default_factory=Method)
    """What leads to predictions."""
    prompt: Prompt = field(default_factory=Prompt)
    """How the LLM is asked for texts."""
    curate: Curate = field(default_factory=Curate)
    """Which texts become rows."""
    train: Train = field(default_factory=Train)
    """How the student is trained."""
    data: Data = field(default_factory=Data)
    """Which gold rows score it."""
    synthesis: Synthesis = field(default_factory=Synthesis)
    """How the texts are made."""
    logger: Logger = setting(factory=Logger, running=True)
    """What W&B gets."""
    site: Site = setting(factory=Site, running=True)
    """The cluster."""
    shots: int = setting(0, least=0)
    """Gold rows per label that the prompts show."""
    shots_seed: int = setting(0, least=0, repeats=True)
    """Which gold rows those are, and which ones gold_per_label=k and method.num_texts take; `draw` unless set."""
    num_per_label: int = setting(300, least=1)
    """Texts per label accepted by the filters."""
    gold_per_label: str = "all"
    """method=gold: train rows per label: all, or a number."""
    seed: int = setting(0, least=0, most=2**32 - 1, repeats=True)
    """The student's; NumPy takes no larger one."""
    draw: int = setting(0, least=0, repeats=True)
    """Which draw of the data: synthesis.seed and shots_seed are it unless set; `seed` unless set, so that seeds repeat a method with data
    of its own. One number shares a draw, which compares students on the same data."""
    store: str = setting("outputs/store", running=True)
    """Where everything made is kept."""
    device: str = setting("auto", choices=("auto", "cpu", "cuda"), running=True, local=False)
    """auto, cpu or cuda; for the LLM's server and the students."""
    plan: bool = setting(False, running=True)
    """Print what would run and start nothing."""
    workers: Optional[int] = setting(None, least=1, running=True)
    """Processes side by side on this machine; none: one a GPU, on the CPU one."""
    shards: int = setting(1, least=1, running=True)
    """Jobs (or local workers), each with a server of its own, that fill the streams of one LLM together."""
    pack: int = setting(1, least=1, running=True)
    """SLURM: students in one job."""
    wait: bool = setting(True, running=True)
    """SLURM: wait for the jobs and print the table; false: submit and return."""


WRITTEN_ANSWERS = ("choice", "free")
"""Values of method.answer with which the LLM writes its answer; with the others labels are scored."""
NUM_TEMPLATES = 3
"""Templates of the question that an LLM answers (japagen.prompts.scaffold)."""


def register_schema() -> None:
    """Makes the dataclasses known to Hydra under the name that conf/config.yaml opens with, and has it check YAML
    files against them and list them in halves.

    Hydra 1.3 copies the schemas of all its plugins for every composition and, for --help, every group. What is loaded from them is a copy
    anyway, so they themselves needn't be: that is two thirds of --help's time.
    """
    schemas = ConfigStore.instance()
    schemas.store(name="japagen_schema", node=Config)
    check_files_of(Config)
    list_settings_of(Config)
    schemas.__deepcopy__ = lambda memo: schemas  # type: ignore[attr-defined]
