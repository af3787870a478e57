"""The tables of rules for replies: each rule does what its example shows, and replies of each kind become what people make of them."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from japagen.config.schema import Data
from japagen.gold import read_eval, read_train
from japagen.prompts.replies import REASONS, Reading, Reject, clean_reply, judge_reply
from japagen.prompts.reply_rules import Refuse, Rules, Strip
from japagen.prompts.reply_rules_en import ENGLISH
from japagen.prompts.reply_rules_ja import JAPANESE
from japagen.tasks import Label, Task
from tests.conftest import MIRROR, load_task, needs_mirror

NAMES = ("jnli", "jsts", "jcola", "jcm", "marcja", "covid19", "news", "banking77")
TASKS = {name: load_task(name) for name in NAMES}
TABLES = {"ja": JAPANESE, "en": ENGLISH}
STRIPS = [(language, rule) for language, rules in TABLES.items() for rule in (*rules.outer, *rules.inner)]
REFUSALS = [(language, rule) for language, rules in TABLES.items() for rule in rules.refusals]
MAIL = Task(
    "mail",
    genre="messages",
    max_chars=200,
    system="問い合わせを書きます。",
    labels=[
        Label("cancel", "契約をやめたい客の問い合わせを書いてください。", word="解約"),
        Label("move", "引っ越す客の問い合わせを書いてください。"),
    ],
)
DOG = "白い犬が雪の上を走っている。"
NOTE = "彼女が昨日映画を見るた。"
TENT = "テントは軽くて設営も簡単です。家族で使っています。"


def names_of(rules: Rules) -> list[str]:
    return [rule.name for rule in (*rules.outer, *rules.inner, *rules.refusals)]


@pytest.mark.parametrize("language", TABLES)
def test_each_rule_has_a_name_of_its_own(language: str) -> None:
    names = names_of(TABLES[language])
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("language", "rule"), STRIPS, ids=lambda one: one.name if isinstance(one, Strip) else one)
def test_a_strip_does_what_its_example_shows_and_no_more_on_its_result(language: str, rule: Strip) -> None:
    reply, text = rule.example
    assert rule.apply(reply) == text
    assert rule.apply(text) == text


@pytest.mark.parametrize(("language", "rule"), REFUSALS, ids=lambda one: one.name if isinstance(one, Refuse) else one)
def test_a_refusal_applies_to_its_example(language: str, rule: Refuse) -> None:
    assert rule.applies(rule.example)
    assert rule.reason in REASONS


KEPT_AS = {
    "marks of machines": [
        ("jnli", f"<think>含意なので動物にする。</think>{DOG}", DOG),
        ("jnli", f"動物にしよう。</think>\n{DOG}", DOG),
        ("jcola", f"{DOG}<|eot_id|>", DOG),
        ("jcola", f"<|im_start|>assistant\n{DOG}<|im_end|>\n<|im_start|>user\n次", DOG),
        ("jcola", f"{DOG}\nuser\n次の文", DOG),
        ("jcola", f"assistantfinal{DOG}", DOG),
        ("jcola", f"final{DOG}", DOG),
        ("jcola", f"\ufeff{DOG}\u200b", DOG),
        ("jcola", "か\u3099っこうへ行く。", "がっこうへ行く。"),
        ("marcja", "軽いです。\\n安いです。買いです。", "軽いです。 安いです。買いです。"),
    ],
    "formats": [
        ("jnli", f"```plaintext\n{DOG}\n```", DOG),
        ("jnli", f'{{"text": "{DOG}", "label": "含意"}}', DOG),
        ("jnli", f'"仮説": "{DOG}"', DOG),
        ("jnli", f"['{DOG}']", DOG),
        ("jnli", f"<仮説>{DOG}</仮説>", DOG),
        ("jnli", f"{DOG}</output>", DOG),
        ("jcola", "<ruby>犬<rp>(</rp><rt>いぬ</rt></ruby>が雪の上を走る。", "犬が雪の上を走る。"),
        ("jnli", f"__{DOG}__", DOG),
        ("marcja", f"この**軽さ**は驚きです。{TENT}", f"この軽さは驚きです。{TENT}"),
        ("marcja", f"## 感想\n{TENT}", TENT),
    ],
    "headings and marks": [
        ("jnli", f"**仮説文**：{DOG}", DOG),
        ("jnli", f"中立の関係にある仮説：{DOG}", DOG),
        ("jsts", f"類似度2の説明文：{DOG}", DOG),
        ("jsts", f"画像の説明: {DOG}", DOG),
        ("jcola", f"誤った文の例：{NOTE}", NOTE),
        ("jcola", f"（非文）{NOTE}", NOTE),
        ("jcola", f"❌ {NOTE}", NOTE),
        ("marcja", f"満足した客のレビュー：\n{TENT}", TENT),
        ("covid19", "ツイート内容：マスクを買いに行った。", "マスクを買いに行った。"),
        ("news", f"【タイトル】新しいテントが登場\n【本文】{TENT}", f"新しいテントが登場 {TENT}"),
        ("jnli", f"① {DOG}", DOG),
        ("jnli", f"「{DOG}", DOG),
        ("jnli", f"{DOG}」", DOG),
    ],
    "chat and notes": [
        ("jnli", f"かしこまりました。\n\n{DOG}", DOG),
        ("jnli", f"以下のとおりです：\n{DOG}", DOG),
        ("marcja", f"こちらがレビューの例です。\n{TENT}", TENT),
        ("jnli", f"Of course! {DOG}", DOG),
        ("marcja", f"{TENT}\n\n別の例が必要でしたら、ほかにも作成できますのでお知らせください。", TENT),
        ("jnli", f"{DOG}【14文字】", DOG),
        ("jnli", f"{DOG}\n\n**理由**：前提に犬とある", DOG),
        ("jnli", f"{DOG}\n(A white dog is running on the snow.)", DOG),
        ("jcola", f"{NOTE}（「見た」の誤り）", NOTE),
        ("jcola", f"{NOTE}正しくは「彼女が昨日映画を見た」です。", NOTE),
        ("jcola", f"{NOTE} ⇒ 正しい文：彼女が昨日映画を見た。", NOTE),
        ("jcola", f"{NOTE}\nこの文は動詞の形が不自然です。", NOTE),
        ("jsts", f"{DOG} 類似度：3", DOG),
        ("marcja", f"{TENT}（約30字）", TENT),
    ],
}
"""Kind -> task, reply, text."""


@pytest.mark.parametrize(("task", "reply", "text"), [case for cases in KEPT_AS.values() for case in cases])
def test_debris_is_taken_off_and_the_text_kept(task: str, reply: str, text: str) -> None:
    reading = judge_reply(TASKS[task], reply, "stop")
    assert reading.outcome == text
    assert reading.changes, "a change that nobody can see is a fault"


HONEST = {
    "jnli": [
        "1.5メートルの板がある。",
        "12:30を指す時計がある。",
        "2、3人の子供が遊んでいる。",
        "「止まれ」と書かれた標識がある。",
        "-10℃と表示された温度計。",
    ],
    "jcola": [
        "●●さんはもう帰りました。",
        "○月○日に届きました。",
        "お茶はいかがでしょうか。",
        "もちろん、私も行きます。",
        "はい、そのとおりです。",
        "こちらは妹です。",
        "以下の問いに答えなさい。",
        "彼は正しくは鈴木という。",
        "誰も来なかった（と思う）。",
    ],
    "marcja": [
        "はい、大満足でした！また買います。",
        "すみませんが、二度と買いません。返品もできませんでした。",
        "購入前にサイズをご確認ください。合いませんでした。",
        "参考になれば幸いです。おすすめです。",
        "申し訳ないのですが、人にはすすめられません。",
        "こちらの商品は軽くて気に入りました。",
        "以下の点が残念でした。\n・重い\n・高い\n次は買いません。",
        "AI搭載とのことで購入。とても賢いです。",
        "わかりました。この値段なら仕方ないです。",
    ],
    "covid19": ["(´・ω・`)腕が痛い(´・ω・`)", "3回目の予約が取れませんでした。", "#ワクチン 接種完了！", "注意：マスクをお忘れなく。"],
    "news": ["文部科学省：新しい指針を公表 学校での端末の使い方について、文部科学省が新しい指針を公表した。"],
    "banking77": ["I can't connect to the app since yesterday.", "I cannot provide a receipt, what now?", "Sorry, I can't find my card."],
}
CUSTOMERS = [
    "すみません、昨日の夜からネットに接続できません。",
    "以下の住所に引っ越します。手続きを教えてください。",
    "契約書の写真を添付していませんでした。",
    "申し訳ありませんが、請求書の内容を確認できません。",
    "届いたか、ご確認ください。",
    "承知しました。では来週伺います。",
]


@pytest.mark.parametrize(("task", "text"), [(task, text) for task, texts in HONEST.items() for text in texts])
def test_what_people_write_stays_as_it_is(task: str, text: str) -> None:
    assert judge_reply(TASKS[task], text, "stop") == Reading(" ".join(text.split()))


@pytest.mark.parametrize("text", CUSTOMERS)
def test_a_customer_who_cannot_does_not_refuse(text: str) -> None:
    assert clean_reply(MAIL, text, "stop") == text


@pytest.mark.parametrize("text", CUSTOMERS[:2])
def test_a_customer_does_not_refuse_either_where_the_task_says_nothing(text: str) -> None:
    assert clean_reply(Task("mail", labels=MAIL.labels, system="x"), text, "stop") == text


REFUSED = [
    ("jsts", "申し訳ありませんが、画像がないため説明文を作成できません。", "refusal"),
    ("jsts", "写真を添付していただければ、説明文をお作りします。", "refusal"),
    ("jnli", "どのような前提の文をご希望ですか？", "refusal"),
    ("jcola", "お答えできません。", "refusal"),
    ("covid19", "私は医療に関する情報を提供することはできません。", "refusal"),
    ("marcja", "私はAIですので、商品を買うことはありません。", "refusal"),
    ("banking77", "I'm sorry, but I can't assist with that request.", "refusal"),
    ("jcola", "I cannot.", "refusal"),
    ("jcola", "もちろんです。彼女が昨日映画を見るた。", "preamble"),
    ("jnli", "この仮説は前提と矛盾しています。", "about the task"),
    ("jcola", "「彼女が昨日映画を見るた」は文法的に誤りです。", "about the task"),
    ("jnli", "犬が走る。 → 動物が走る。", "about the task"),
    ("jnli", "犬が走る。あるいは、動物が走る。", "several candidates"),
    ("jnli", "前提：犬が走る。\n仮説：動物が走る。", "several candidates"),
    ("marcja", "レビュー1：軽いです。便利です。\nレビュー2：重いです。不便です。", "several candidates"),
    ("marcja", f"{TENT}\nもしくは\n{TENT}", "several candidates"),
    ("news", "【俳優名】が結婚を発表 人気俳優の【俳優名】さんが、結婚を所属事務所を通じて発表した。", "placeholder"),
    ("marcja", "〇〇社の〇〇を買いました。〇〇が便利です。", "placeholder"),
    ("banking77", "My payment to [merchant name] is still pending.", "placeholder"),
    ("jnli", '{"premise": "犬が走る。", "hypothesis": "動物が走る。"}', "markup"),
    ("jcola", "犬が走る犬が走る犬が走る犬が走る犬が走る", "loops"),
    ("jcola", "犬が\ufffd走っている。", "loops"),
    ("jnli", "「含意」", "names its label"),
    ("jnli", '"矛盾。', "names its label"),
    ("marcja", "ポジティブ：軽いです。便利です。", "names its label"),
    ("marcja", "否定的なレビューとして、重くて不便でした。", "names its label"),
    ("marcja", "商品に不満がある客が書いたものです。", "repeats the prompt"),
    ("jnli", "この前提の文が正しければ必ず正しいと言える、含意の関係にある仮説の文を50文字以内で一つ書いてください。", "about the task"),
    ("jnli", "<think>前提には犬がいる。", "all thinking"),
    ("jnli", "analysisユーザーは仮説を求めている。", "all thinking"),
    ("jcola", "고양이가 있다。", "wrong language"),
    ("jcola", "このรีวิวは良い。", "wrong language"),
    ("jcola", "これはвопросです。", "wrong language"),
    ("jcola", "公园のベンチに座る。", "wrong language"),
    ("jcola", "Jiro は pen を buy した。", "wrong language"),
]


@pytest.mark.parametrize(("task", "reply", "reason"), REFUSED)
def test_what_is_no_text_is_refused_by_its_reason(task: str, reply: str, reason: str) -> None:
    assert clean_reply(TASKS[task], reply, "stop") == Reject(reason)


@pytest.mark.parametrize("finish_reason", ["length", "max_tokens", "MAX_TOKENS", "", "model_length"])
def test_a_reply_that_did_not_end_normally_is_cut(finish_reason: str) -> None:
    assert clean_reply(TASKS["jnli"], DOG, finish_reason) == Reject("truncated")
    assert clean_reply(TASKS["jnli"], DOG, "filtered") == Reject("filtered")


def test_a_label_may_be_refused_anywhere() -> None:
    text = "ITライフハック読者に人気の小技を紹介する。まずは画面の明るさを下げ、使わないアプリの通知を切ろう。"
    news = load_task("news")
    assert clean_reply(replace(news, label_words="ends"), text, "stop") == text
    assert clean_reply(news, text, "stop") == Reject("names its label")
    assert clean_reply(news, text.replace("ITライフハック", "雑誌"), "stop") == text.replace("ITライフハック", "雑誌")


def test_an_outcome_names_the_rules_that_changed_it_and_the_one_that_refused_it() -> None:
    assert judge_reply(TASKS["jnli"], f"承知しました。\n**仮説：**「{DOG}」", "stop") == Reading(
        DOG, ("emphasis", "line before the text", "heading", "quotes")
    )
    refused = clean_reply(TASKS["jsts"], "お答えできません。", "stop")
    assert isinstance(refused, Reject)
    assert refused.rule == "short refusal"


WRAPPED = ["{}", "「{}」", "**{}**", "1. {}", "- {}", "```\n{}\n```", "<output>{}</output>", "\u200b{}"]
JAPANESE_WRAPPED = ["文：{}", "はい、承知しました。\n{}", "Sure! {}", "{}\n\n文字数：20"]
AROUND_LINES = ["{}", "<output>{}</output>", "{}<|im_end|>", "<think>x</think>\n{}", "\u200b{}"]
"""What also goes around several lines, or around all else."""
SAMPLES = {
    name: [text for split in (read_train(task, Data()), read_eval(task, Data())) if split for row in split.examples for text in row.texts]
    for name, task in TASKS.items()
}


@pytest.mark.parametrize("name", NAMES)
def test_no_rule_changes_a_text_of_the_sample(name: str) -> None:
    wrong = {text: reading for text in SAMPLES[name] if not _is_as_it_was(text, reading := judge_reply(TASKS[name], text, "stop"))}
    assert not wrong


def _is_as_it_was(text: str, reading: Reading) -> bool:
    return reading in (Reading(" ".join(text.split())), Reading(Reject("too long")), Reading(Reject("too short")))


@given(st.sampled_from(NAMES), st.data())
def test_a_text_comes_back_out_of_what_is_around_it(name: str, data: st.DataObject) -> None:
    task, text = TASKS[name], data.draw(st.sampled_from(SAMPLES[name]))
    inner = data.draw(st.sampled_from(WRAPPED if task.language == "en" else WRAPPED + JAPANESE_WRAPPED))
    outer = data.draw(st.sampled_from(AROUND_LINES if "\n" in inner else WRAPPED + AROUND_LINES))
    assume(not any(mark in text for mark in "「」\"'“”‘’*【】"))  # quotes of its own
    alone = clean_reply(task, text, "stop")
    assert clean_reply(task, outer.format(inner.format(text)), "stop") == alone


@needs_mirror
@pytest.mark.parametrize("name", ["jsts", "jcola", "jcm", "news", "banking77"])
def test_real_gold_texts_are_left_alone(name: str) -> None:
    """At most 0.2% of every 20th text of the scored split."""
    task = TASKS[name]
    split = read_eval(task, Data(source="published", mirror=str(MIRROR), split=task.published.scored))
    assert split is not None
    texts = [text for row in split.examples[::20] for text in row.texts]
    wrong = [text for text in texts if not _is_as_it_was(text, judge_reply(task, text, "stop"))]
    assert len(wrong) <= max(1, 0.002 * len(texts)), wrong


@pytest.mark.timeout(30)
@pytest.mark.parametrize("task", ["jnli", "marcja", "banking77"])
@pytest.mark.parametrize(
    "unit", ["\n", "(", "「", "『「", "* ", "文：", "→", "<b>", "**", "犬が走る。", "（", "以下に", '{"', "`", "。または", "犬"]
)
def test_a_long_reply_is_read_in_time_that_grows_with_its_length(task: str, unit: str) -> None:
    for num_chars in (1_900, 99_000):
        clean_reply(TASKS[task], (unit * num_chars)[:num_chars] + "x", "stop")
