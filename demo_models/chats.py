"""The demo LM's training chats: corpus and grammars -> an endless, seeded stream of chats in the tasks' own prompts.

A chat is built by `japagen.prompts.writing`, so the model is trained on exactly the messages that the pipeline sends: prompt=base or
kadg, zero-shot mostly, sometimes with exemplars. Each row's source is drawn anew (real train rows, edited captions, our
grammars), the label first and uniformly, so that rare labels are seen as often as frequent ones.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import OmegaConf

from demo_models.articles import article
from demo_models.broken import break_sentence
from demo_models.corpus import Corpus, Pair
from demo_models.edits import nli_edit, similar_edit
from demo_models.grammar import nli_pair, similar_pair
from demo_models.reviews import review
from demo_models.tweets import tweet
from japagen.prompts.scaffold import JAPANESE
from japagen.prompts.writing import Message, Prompting, first_messages, messages, phrases_of
from japagen.tasks import Label, Task, nearest_level

TASK_WEIGHTS = {"jsts": 0.2, "jnli": 0.19, "jcola": 0.19, "marcja": 0.14, "covid19": 0.1, "news": 0.11, "jcm": 0.07}
KNOWLEDGE_CHATS = 0.4
"""Share of chats with prompt=kadg, where the row shows one of the attribute's values."""
EXEMPLAR_CHATS = 0.12
"""Share of chats with exemplars; they are several times longer, so they cost more than the share says."""
ENOUGH = 1000
"""Real pairs of one label from which on they get their full weight."""
CAPTION_LEVELS = {"entailment": ("5",), "neutral": ("2", "3")}
"""JNLI relation -> levels of JSTS whose pairs stand in that relation."""
STYLE_CHATS = 0.04
"""Share of chats in which the request shows a text of the task for its style (prompt.style)."""
SHOTS = (1, 1, 1, 2, 2, 3, 3, 4, 5)

Texts = tuple[str, ...]


@dataclass(frozen=True)
class DrawnRow:
    """One row's texts, and the values of the task's attributes that they show."""

    texts: Texts
    drawn: dict[str, str] = field(default_factory=dict)


RowSource = Callable[[str, random.Random], DrawnRow | None]
"""(label name, rng) -> one row, or None where this source has none this time."""


def load_tasks(conf: Path) -> dict[str, Task]:
    """The tasks that the LM learns, from conf/task/*.yaml."""
    schema = OmegaConf.structured(Task)
    return {name: OmegaConf.to_object(OmegaConf.merge(schema, OmegaConf.load(conf / f"{name}.yaml"))) for name in TASK_WEIGHTS}  # type: ignore[misc]


class RowDraws:
    """Draws labelled rows: real ones, edits of real captions, and the grammars'."""

    def __init__(self, corpus: Corpus, tasks: dict[str, Task]) -> None:
        self._corpus, self._tasks = corpus, tasks
        self._captions = corpus.captions()
        self._by_level = _group(corpus.jsts, lambda pair: nearest_level(tasks["jsts"], float(pair.label)).name)
        self._by_relation = _group([pair for pair in corpus.jnli if not pair.first_negated], lambda pair: pair.label)
        self._judged = {good: [row.text for row in corpus.jcola if row.acceptable == good] for good in (True, False)}
        self._moral = {good: [row.text for row in corpus.jcm if row.acceptable == good] for good in (True, False)}
        self._values = {task.name: task.attributes[0].values if task.attributes else [] for task in tasks.values()}
        self._sources: dict[str, list[tuple[RowSource, float]]] = {
            "jsts": [(self._jsts_real, 0.5), (self._jsts_grammar, 0.35), (self._jsts_edited, 0.15)],
            "jnli": [(self._jnli_grammar, 0.35), (self._jnli_edited, 0.35), (self._jnli_real, 0.1), (self._jnli_captions, 0.2)],
            "jcola": [(self._jcola_real, 0.7), (self._jcola_made, 0.3)],
            "marcja": [(self._review, 1.0)],
            "covid19": [(self._tweet, 1.0)],
            "news": [(self._article, 1.0)],
            "jcm": [(self._moral_real, 1.0)],
        }

    def draw(self, task: str, label: str, rng: random.Random) -> DrawnRow:
        """One row of the label: short enough, no two equal sentences, and none that an evaluation split holds."""
        sources, weights = zip(*self._sources[task], strict=True)
        limits = self._tasks[task]
        while True:
            row = rng.choices(sources, weights)[0](label, rng)
            if row is not None and len({*row.texts}) == len(row.texts) and all(self._allowed(limits, text) for text in row.texts):
                return row

    def _allowed(self, task: Task, text: str) -> bool:
        return task.min_chars <= len(text) <= task.max_chars and not self._corpus.evaluation.holds(text)

    def _jsts_real(self, label: str, rng: random.Random) -> DrawnRow | None:
        texts = _pick(self._by_level[label], rng)
        return None if texts is None else _caption_row(texts if rng.random() < 0.5 else texts[::-1])

    def _jsts_grammar(self, label: str, rng: random.Random) -> DrawnRow:
        return _caption_row(similar_pair(int(label), rng))

    def _jsts_edited(self, label: str, rng: random.Random) -> DrawnRow | None:
        caption, level = rng.choice(self._captions), int(label)
        second = similar_edit(caption, level, rng) if level >= 3 else rng.choice(self._captions) if level == 0 else None
        return None if second is None else _caption_row((caption, second))

    def _jnli_real(self, label: str, rng: random.Random) -> DrawnRow | None:
        texts = _pick(self._by_relation[label], rng)
        return None if texts is None else _caption_row(texts)

    def _jnli_grammar(self, label: str, rng: random.Random) -> DrawnRow:
        return _caption_row(nli_pair(label, rng))

    def _jnli_edited(self, label: str, rng: random.Random) -> DrawnRow | None:
        caption = rng.choice(self._captions)
        second = nli_edit(caption, label, rng)
        return None if second is None else _caption_row((caption, second))

    def _jnli_captions(self, label: str, rng: random.Random) -> DrawnRow | None:
        """Two captions of one picture: as good as equal ones entail each other, loosely related ones are neutral."""
        if label not in CAPTION_LEVELS:
            return None
        texts = _pick(self._by_level[rng.choice(CAPTION_LEVELS[label])], rng)
        return None if texts is None else _caption_row(texts if rng.random() < 0.5 else texts[::-1])

    def _jcola_real(self, label: str, rng: random.Random) -> DrawnRow:
        text = rng.choice(self._judged[label == "acceptable"])
        return DrawnRow((text,), {JCOLA_ATTRIBUTES[label]: grammar(text, rng)})

    def _jcola_made(self, label: str, rng: random.Random) -> DrawnRow | None:
        words = rng.choice(self._corpus.plain)
        if POLITE.search("".join(words)):
            return None
        if label == "acceptable":
            text = "".join(words)
            return DrawnRow((text,), {JCOLA_ATTRIBUTES[label]: grammar(text, rng)})
        broken = break_sentence(words, rng)
        if broken is None or broken[1] not in FORMS:
            return None
        target = grammar(broken[0], rng)
        return DrawnRow((broken[0],), {JCOLA_ATTRIBUTES[label]: broken[1] if target in FORMS else target})

    def _review(self, label: str, rng: random.Random) -> DrawnRow:
        genre = rng.choice(self._values["marcja"])
        return DrawnRow((review(label, genre, rng),), {"genre": genre})

    def _tweet(self, label: str, rng: random.Random) -> DrawnRow:
        if label == "unrelated":
            return DrawnRow((tweet(label, None, rng),))
        topic = rng.choice(self._values["covid19"])
        return DrawnRow((tweet(label, topic, rng),), {"topic": topic})

    def _moral_real(self, label: str, rng: random.Random) -> DrawnRow:
        text = rng.choice(self._moral[label == "permissible"])
        shown = _first(text, _SCENES)
        return DrawnRow((text,), {"scene": shown} if shown else {})

    def _article(self, label: str, rng: random.Random) -> DrawnRow:
        return DrawnRow((article(label, rng),))


def chat_stream(corpus: Corpus, tasks: dict[str, Task], seed: int) -> Iterator[list[Message]]:
    """Endless chats, each ending with the assistant's last reply; the same seed gives the same chats."""
    rng, rows = random.Random(seed), RowDraws(corpus, tasks)
    names, weights = zip(*TASK_WEIGHTS.items(), strict=True)
    while True:
        task = tasks[rng.choices(names, weights)[0]]
        yield _chat(task, rng.choice(task.labels), rows, rng)


def _chat(task: Task, label: Label, rows: RowDraws, rng: random.Random) -> list[Message]:
    """One row as the pipeline would have asked for it, with the replies filled in."""
    row = rows.draw(task.name, label.name, rng)
    drawn = row.drawn if rng.random() < KNOWLEDGE_CHATS else {}
    knowledge = bool(drawn) or (not row.drawn and task.kind == "single" and rng.random() < KNOWLEDGE_CHATS)
    shots = rng.choice(SHOTS) if rng.random() < EXEMPLAR_CHATS else 0
    exemplars = [rows.draw(task.name, label.name, rng).texts for _ in range(shots)]
    prompting, phrases = Prompting(knowledge=knowledge), phrases_of(task.attributes, drawn)
    if rng.random() < STYLE_CHATS:
        style = rows.draw(task.name, rng.choice(task.label_names), rng).texts[0]
        if style not in row.texts:
            phrases.append(JAPANESE.style_phrase.replace("{value}", style))
    if not task.is_pair:
        return [*messages(task, prompting, label, exemplars, phrases=phrases), _reply(row.texts[0])]
    if shots and rng.random() < 0.5:  # turn 0 by itself, whose exemplars are the first sentences of every label's
        pooled = [rows.draw(task.name, other.name, rng).texts[0] for other in task.labels for _ in range(shots)]
        return [*first_messages(task, prompting, pooled, phrases), _reply(row.texts[0])]
    return [*messages(task, prompting, label, exemplars, row.texts[0], phrases), _reply(row.texts[1])]


def _caption_row(texts: Texts) -> DrawnRow:
    """A pair of captions; what its first one shows is its attribute."""
    shown = picture(texts[0])
    return DrawnRow(texts, {"picture": shown} if shown else {})


def _reply(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _pick(pairs: list[Pair], rng: random.Random) -> Texts | None:
    """A pair's texts; None the more often the fewer pairs there are, so that they aren't learned by heart."""
    if rng.random() > len(pairs) / ENOUGH:
        return None
    pair = rng.choice(pairs)
    return pair.first, pair.second


def _group(pairs: list[Pair], label_of: Callable[[Pair], str]) -> dict[str, list[Pair]]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(label_of(pair), []).append(pair)
    return groups


PICTURES = {
    "動物": "犬 猫 馬 牛 羊 象 ゾウ キリン シマウマ 熊 クマ 鳥 カモメ 動物 ネコ イヌ 山羊",
    "スポーツ": "テニス 野球 サッカー スキー スノーボード サーフィン スケートボード バット ラケット 試合 選手 フリスビー スポーツ",
    "食べ物": "ピザ ケーキ サンドイッチ 料理 野菜 果物 バナナ リンゴ 食べ物 ドーナツ パン サラダ 肉 スープ ホットドッグ オレンジ",
    "乗り物": "バス 電車 列車 飛行機 バイク 自転車 トラック 車 船 ボート ヘリコプター 機関車 タクシー",
    "台所や食器": "台所 キッチン 冷蔵庫 オーブン 皿 コップ グラス フォーク ナイフ 電子レンジ シンク コンロ 鍋 カップ",
    "家具や部屋": "部屋 ソファ ベッド 椅子 机 テーブル リビング 洗面 トイレ テレビ パソコン 棚 本 窓 バスルーム 便器 ぬいぐるみ",
    "街や建物": "街 建物 信号 時計 看板 標識 道路 交差点 駅 ビル 消火栓 歩道 ベンチ 橋 教会 塔",
    "自然の風景": "海 山 川 空 森 湖 草原 木 花 雪 波 砂浜 夕日 丘 凧",
    "人": "人 男性 女性 子供 男の子 女の子 少年 少女 子ども 大人 老人 男 女",
}
"""Value of jsts' and jnli's `picture` -> words; the first value that fits counts."""


GRAMMAR = {
    "「自分」などの代名詞": "自分 自身 お互い 彼女 彼 それ これ あれ そこ",
    "敬語": "いらっしゃ ございま お待ち くださ 申し 召し いただ 伺 なさ",
    "数や量の表現": "一 二 三 四 五 すべて 全員 たくさん ほとんど もっと みんな",
    "否定の表現": "しか 決して ない なかった ません 誰も 何も",
    "受身や使役": "られ させ された される せた れた",
    "時の表現": "昨日 今日 明日 先週 来週 去年 来年 今朝 昨夜 前に 後で ながら もうすぐ",
}
"""Value of jcola's attributes -> strings; the first value that fits counts."""


SCENES = {
    "インターネット": "ネット SNS 掲示板 ブログ メール 動画 投稿 サイト アカウント",
    "動物や自然": "犬 猫 ペット 動物 鳥 魚 山 川 海 森 花 木 虫",
    "病院や介護": "病院 医者 医師 患者 看護 介護 薬 老人ホーム 入院",
    "学校": "学校 教室 先生 授業 宿題 生徒 学生 試験 テスト 大学 クラス 校庭",
    "職場": "会社 上司 部下 同僚 仕事 職場 社員 会議 残業 取引",
    "店や買い物": "店 スーパー 商品 レジ 買 客 注文 コンビニ レストラン",
    "道路や乗り物": "電車 バス 車 道路 信号 駅 運転 自転車 バイク 切符 タクシー",
    "近所や公園": "近所 公園 隣 ゴミ 町内 マンション アパート ブランコ",
    "友人や恋人": "友達 友人 恋人 彼氏 彼女 親友 デート",
    "家庭": "家 母 父 親 妻 夫 子供 娘 息子 兄 弟 姉 妹 部屋 料理 洗濯",
}
"""Value of jcm's `scene` -> words; the first value that fits counts."""


FORMS = ("助詞", "動詞の活用")
"""The other values: of these every sentence has something."""
JCOLA_ATTRIBUTES = {"acceptable": "grammar", "unacceptable": "error"}
POLITE = re.compile("です|ます|ました|ません|ましょう")
"""Not in the plain style that jcola's prompts ask for."""


def picture(text: str) -> str | None:
    """What the caption shows, or None where no word says it."""
    return _first(text, _PICTURES)


def grammar(text: str, rng: random.Random) -> str:
    """A grammatical target that the sentence has to do with: mostly the one its words name, else one of the forms."""
    found = _first(text, _GRAMMAR)
    return found if found and rng.random() < 0.6 else rng.choice(FORMS)


def _patterns(table: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    return {value: re.compile("|".join(words.split())) for value, words in table.items()}


_PICTURES, _GRAMMAR, _SCENES = _patterns(PICTURES), _patterns(GRAMMAR), _patterns(SCENES)


def _first(text: str, patterns: Mapping[str, re.Pattern[str]]) -> str | None:
    return next((value for value, pattern in patterns.items() if pattern.search(text)), None)
