"""The configuration's schema: dataclasses under the YAML groups of conf/.

Hydra composes conf/ into a DictConfig typed by these classes; `japagen.config.validation` turns it once into plain dataclasses, and all
that comes after takes those. Settings are of two halves: identity (what is made) enters keys, see `japagen.store.keys`;
running (where and how fast it is made) never does and is marked so below.
"""

from dataclasses import dataclass, field
from typing import Any, Optional

from hydra.core.config_store import ConfigStore

from japagen.config.methods import METHODS, MethodKind
from japagen.config.yaml_texts import check_files_of
from japagen.tasks import Task


@dataclass
class Sampling:
    """How the LLM draws its tokens; every value is sent, so that no server default fills in."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0: all tokens."""
    repetition_penalty: float = 1.0
    max_tokens: int = 128
    """Longest reply, in tokens; a reply that reaches it is rejected as truncated."""


@dataclass
class Server:
    """Running: how a vLLM server of our own is started."""

    python: Optional[str] = None
    """Python of another environment that has vLLM; none: this one."""
    port: Optional[int] = None
    """HTTP port on 127.0.0.1; none: a free one."""
    start_timeout_s: float = 900.0
    """Time allowed until it is ready; large models take minutes."""
    max_restarts: int = 2
    """Starts again after a crash in mid-run."""
    gpu_memory_utilization: float = 0.9
    cpu_kvcache_gib: int = 1
    """On the CPU: memory for the KV cache."""
    enforce_eager: bool = False
    """No compilation and no CUDA graphs: starts faster, generates slower."""
    extra_args: list[str] = field(default_factory=list)
    """More vLLM arguments, as they are."""


@dataclass
class LLM:
    """A large language model that writes the texts."""

    name: str = "???"
    id: str = "???"
    """Hub id, local folder, or `package:` and a folder of this package."""
    revision: Optional[str] = None
    """Commit; none: the hub's present one, resolved before anything starts. Local folders: their checksum."""
    dtype: str = "auto"
    quantization: Optional[str] = None
    max_model_len: int = 4096
    """Context length in tokens, prompt and reply together."""
    system_role: bool = True
    """Whether the chat template takes a system turn."""
    chat_template_args: dict[str, Any] = field(default_factory=dict)
    """E.g. {enable_thinking: false}."""
    reasoning_parser: Optional[str] = None
    """vLLM's parser that takes an LLM's thinking apart from its reply, for those that think first."""
    sampling: Sampling = field(default_factory=Sampling)
    gpus: int = 1
    """GPUs that one server takes (tensor parallel)."""
    trust_remote_code: bool = False
    license: str = "unknown"
    license_note: str = ""
    """What the licence asks of models trained on the LLM's output."""
    license_name_prefix: str = ""
    """What the licence asks the name of such a model to begin with, where it is handed on: `japagen export` says so."""
    price_per_gpu_hour: Optional[float] = None
    price_per_million_tokens: Optional[float] = None
    seen: list[str] = field(default_factory=list)
    """Gold data known to be in its tuning, as task/split; task/made: texts made for the task's classes; [unknown]: nothing is known."""
    verified: str = "never"
    """never, or the date and hardware of a run of ours with the real weights."""
    demo: bool = False
    base_url: Optional[str] = None
    """Running: an OpenAI-compatible server that runs already (…/v1); none: we start vLLM."""
    api_key_env: str = "OPENAI_API_KEY"
    """Running: environment variable with that server's key."""
    server: Server = field(default_factory=Server)


@dataclass
class Encoder:
    """A compact encoder that becomes the student."""

    name: str = "???"
    id: str = "???"
    """Hub id, local folder, or `package:` and a folder of this package."""
    revision: Optional[str] = None
    max_length: int = 128
    """Tokens a text (or pair) is cut to."""
    learning_rate: float = 2e-5
    """The usual one for this encoder; train.learning_rate takes it unless told otherwise."""
    bf16: bool = True
    """bf16 on GPUs; false for encoders that are known to fail under it."""
    word_splitter: str = ""
    """'jumanpp' where words must be split before the tokenizer: needs Juman++ and rhoknp (japagen.training.words)."""
    trust_remote_code: bool = False
    license: str = "unknown"
    seen: list[str] = field(default_factory=list)
    """Gold labels known to be in its training, as LLM.seen has them."""
    verified: str = "never"
    demo: bool = False


@dataclass
class Method:
    """Which way leads to predictions: what the student learns from, or that the LLM answers itself."""

    name: str = "japagen"
    """japagen: texts written by the LLM; gold: the task's labelled train split; mixed: both; annotate: unlabelled texts that the LLM
    labels; annotate_japagen: those and written ones; prompting: no student, the LLM answers."""
    answer: str = "label"
    """How the LLM answers (prompting, annotate): label or channel (probabilities of whole label words, or of the text under each
    label's request), choice (one of the label words is forced), free (it writes what it likes)."""
    template: Optional[int] = None
    """Wording of the question, 0 to 2; none: seed mod 3, so that a sweep over seeds goes through all."""
    calibrate: bool = False
    """answer=label: divided by the probabilities of a text without content (contextual calibration, Zhao et al. 2021)."""
    max_tokens: int = 32
    """answer=choice and free: longest reply; an LLM that thinks first needs thousands."""
    gold_weight: float = 1.0
    """mixed: what a gold row counts in the loss; a written one counts 1."""
    num_texts: Optional[int] = None
    """annotate: how many unlabelled texts, drawn by shots_seed; none: all."""

    @property
    def kind(self) -> MethodKind:
        """What takes part in the method."""
        return METHODS[self.name]


@dataclass
class Prompt:
    """The prompt's variant."""

    name: str = "base"
    """base: the task described and one instruction a label; kadg: with the task's knowledge (attributes, described labels); kadg_auto:
    with attributes that the LLM named itself."""
    variants: bool = False
    """Each request takes the next of a label's `variants`, its other wordings, in turn with its instruction."""
    personas: Optional[str] = None
    """Text file, one person a line; each request is made in the name of one."""


@dataclass
class Synthesis:
    """How the stream of texts is made."""

    seed: int = 0
    texts_per_request: int = 8
    """Texts one request asks for (the API's n)."""
    temperatures: list[float] = field(default_factory=list)
    """One a request, in turn; none: llm.sampling.temperature."""
    verbalized: bool = False
    """Verbalized sampling (Zhang et al. 2025): one reply lists texts_per_request texts with their probabilities, in place of n replies."""
    max_rows_factor: float = 5.0
    """Budget: at most this many times num_per_label replies a label (and never fewer than 200)."""
    concurrency: Optional[int] = None
    """Running: open requests; none: found while running."""


@dataclass
class Curate:
    """Which texts become training rows. The filters that need no model are always on."""

    name: str = "basic"
    max_same_first: int = 4
    """Pairs: a first sentence is accepted at most this often per label."""
    near_duplicates: Optional[float] = 0.8
    """Texts of one label whose character 3-grams overlap so much (Jaccard, above 0, up to 1) count as one; none: only exact repeats."""
    judging: str = "off"
    """What an LLM's judgement of a text's label does: off, drop (rows it disagrees with), replace (their label), soften (soft labels)."""
    judge_answer: str = "label"
    """How it judges: label or channel, see method.answer."""
    judge_threshold: float = 0.5
    """drop: rows whose label it finds less probable than this go; replace: labels it finds at least as probable as this are taken."""
    keep_likeliest: float = 1.0
    """Share of each label's texts that is kept, those first that the LLM finds most probable under the label's request; 1: all."""
    prior: str = "as_made"
    """Which label frequencies the weighted rows have: as_made, uniform, given, estimated (from unlabelled texts), oracle (the scored
    split's counts: for comparison only)."""
    prior_values: Any = None
    """prior=given: {label: frequency}; they sum to 1."""
    contamination: str = "ngram"
    """Drop rows that match evaluation texts: off, exact (NFKC), or ngram (exact, or 13 characters in common). Gold train rows and exemplars
    are dropped where they are scored rows as a whole."""


@dataclass
class Train:
    """How a student is trained."""

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 2e-5
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    ensemble_momentum: float = 0.0
    """Temporal ensembling (Laine and Aila 2017): how slowly the mean of a row's earlier predictions moves; 0: off, SuperGen: 0.8."""
    ensemble_threshold: float = 0.8
    """Rows count only where that mean gives their label at least this (SuperGen: 0.8); of a soft label's likeliest one at least this part.
    A label with fewer than 16 such rows keeps its likelier half."""
    robust_q: float = 0.0
    """Generalised cross entropy (Zhang and Sabuncu 2018): rows found improbable weigh less; 0: cross entropy, theirs: 0.7."""
    patience: int = 2
    """Validations without improvement before training stops."""
    validations_per_epoch: int = 1
    fixed_steps: int = 200
    """Optimiser steps where there is nothing to select on (gold_per_label=k)."""
    keep: Optional[str] = None
    """Running: weights kept once their result is there: all, best_seed (by validation rows) or none; null: all, in a sweep best_seed."""


@dataclass
class Data:
    """Which gold data score the student (and give exemplars and gold training rows)."""

    source: str = "sample"
    """sample: smoke data in the package; published: the publisher's files; files: your own."""
    split: str = "valid"
    """The split that is scored."""
    train_source: Optional[str] = None
    """A named stand-in for the train split."""
    train_file: Optional[str] = None
    """source=files: labelled rows for exemplars and gold training."""
    eval_file: Optional[str] = None
    """source=files: labelled rows for scoring."""
    unlabelled_file: Optional[str] = None
    """Texts without labels, for method=annotate and curate.prior=estimated; none: the train split's texts, their labels not read."""
    strip_source: bool = True
    """Livedoor articles: site names, columns, links and footers are stripped, because they give the label away."""
    cache: str = "~/.cache/japagen"
    """Running: where published files are kept."""
    mirror: Optional[str] = None
    """Running: folder laid out like the publishers' files; looked at before the cache and the network."""


@dataclass
class Logger:
    """Running: Weights & Biases."""

    wandb: str = "auto"
    """auto (online when logged in, else offline), online, offline or off."""
    project: str = "japagen"
    entity: Optional[str] = None
    """User or team; none: the account's own."""
    upload: str = "none"
    """Artifacts: none, data (the data set) or all (also the student)."""
    upload_texts: bool = False
    """Whether a data set with texts that no LLM wrote (users', gold) may be one of them."""


@dataclass
class Step:
    """Running: what SLURM is asked for, for one job of a kind."""

    partition: Optional[str] = None
    account: Optional[str] = None
    qos: Optional[str] = None
    constraint: Optional[str] = None
    exclude: Optional[str] = None
    gpus: int = 1
    """GPUs a job takes; LLM jobs take llm.gpus instead."""
    gpu_option: str = "gres=gpu:{gpus}"
    """How this site asks for GPUs, e.g. gres=gpu:a100:{gpus} or gpus-per-node={gpus}; empty: jobs without GPUs."""
    cpus: int = 4
    mem_gb: Optional[float] = None
    time_min: int = 240
    signal_s: int = 120
    """Seconds before the time limit at which a job is told, to put away what it has."""
    setup: list[str] = field(default_factory=list)
    """Lines of shell before the job, e.g. `module load cuda`."""
    python: Optional[str] = None
    """Command that runs Python, e.g. `apptainer exec --nv image.sif python`; none: this interpreter."""
    use_srun: bool = True
    extra: dict[str, Any] = field(default_factory=dict)
    """Further sbatch options: {reservation: night}."""
    requeue: bool = True
    """Whether jobs may be put back into the queue; false: they end 'unfinished', and the same command goes on."""
    throttle: Optional[int] = None
    """Jobs of one array at a time; none: as many as there is room for."""
    side_by_side: int = 1
    """With pack=k: how many of a job's k students run at once on its GPU."""


@dataclass
class Site:
    """Running: a cluster."""

    name: str = "default"
    llm: Step = field(default_factory=Step)
    student: Step = field(default_factory=Step)
    max_array: Optional[int] = None
    """Longest array; none: the cluster's MaxArraySize is asked for."""
    poll_s: float = 10.0
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
    llm: LLM = field(default_factory=LLM)
    judge: Optional[LLM] = None
    """Judges texts where curate.judging says so; none: the LLM that wrote them. Another one: +llm@judge=NAME."""
    model: Encoder = field(default_factory=Encoder)
    method: Method = field(default_factory=Method)
    prompt: Prompt = field(default_factory=Prompt)
    curate: Curate = field(default_factory=Curate)
    train: Train = field(default_factory=Train)
    data: Data = field(default_factory=Data)
    synthesis: Synthesis = field(default_factory=Synthesis)
    logger: Logger = field(default_factory=Logger)
    site: Site = field(default_factory=Site)
    shots: int = 0
    """Gold rows per label that the prompts show."""
    shots_seed: int = 0
    num_per_label: int = 300
    """Texts per label accepted by the filters."""
    gold_per_label: str = "all"
    """method=gold: train rows per label: all, or a number."""
    seed: int = 0
    """The student's."""
    store: str = "outputs/store"
    """Running: where everything made is kept."""
    device: str = "auto"
    """Running: auto, cpu or cuda; for the LLM's server and the students."""
    plan: bool = False
    """Running: print what would run and start nothing."""
    workers: Optional[int] = None
    """Running: processes side by side on this machine; none: one a GPU, on the CPU one."""
    shards: int = 1
    """Running: jobs (or local workers), each with a server of its own, that fill the streams of one LLM together."""
    pack: int = 1
    """Running, SLURM: students in one job."""
    wait: bool = True
    """Running, SLURM: wait for the jobs and print the table; false: submit and return."""


WRITTEN_ANSWERS = ("choice", "free")
"""Values of method.answer with which the LLM writes its answer; with the others labels are scored."""
NUM_WORDINGS = 3
"""Wordings of the question that an LLM answers (japagen.prompts.questions.WORDINGS)."""


def register_schema() -> None:
    """Makes the dataclasses known to Hydra under the name that conf/config.yaml opens with, and has it check YAML files against them.

    Hydra 1.3 copies the schemas of all its plugins for every composition and, for --help, every group. What is loaded from them is a copy
    anyway, so they themselves needn't be: that is two thirds of --help's time.
    """
    schemas = ConfigStore.instance()
    schemas.store(name="japagen_schema", node=Config)
    check_files_of(Config)
    schemas.__deepcopy__ = lambda memo: schemas  # type: ignore[attr-defined]
