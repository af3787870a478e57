"""English replies and answers: what customers write is kept, what an assistant says around a text is not."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.prompts.identification import is_other_language
from japagen.prompts.questions import attribute_questions, question_messages, read_answer, read_attributes
from japagen.prompts.replies import Reject, clean_reply
from japagen.prompts.scaffold import scaffold_of
from japagen.prompts.verbalized import list_phrase
from japagen.prompts.writing import Prompting, messages
from japagen.tasks import Example, Label, Task
from tests.conftest import MIRROR

LABELS = [Label("card_arrival", "Write one about a card.", word="card arrival"), Label("no", "Write another one.", word="no")]
BANK = Task("bank", language="en", max_chars=400, system="You write messages to a bank.", labels=LABELS)
PAIR = Task(
    "pair", kind="pair", language="en", fields=["a", "b"], system="You write pairs.", first_instruction="Write a sentence.", labels=LABELS
)

ORDINARY = [
    "I can't connect to the internet since yesterday.",
    "I cannot log in to my account.",
    "Here is my account number 4711, please check it.",
    "Here is the error message I get: card declined",
    "Here are some photos of the damage: see below.",
    "I can't create an account.",
    "I'm unable to verify my identity, what now?",
    "I'm sorry, but I can't complete my top up.",
    "I cannot provide the documents that you want.",
    "I can't write a review on your site.",
    "I couldn't produce a receipt.",
    "Sorry, I lost my card.",
    "I'm sorry to hear that my order was cancelled.",
    "Of course the delivery was late again.",
    "Sure, the food was good, but we waited for an hour.",
    "Great! The best pizza that I ever had.",
    "Certainly not what I had ordered.",
    "OK so the machine kept my card.",
    "Let me know if you need my account number.",
    "Could you assist me with my card?",
    "No-one answered my call.",
    "Note that I have paid already.",
    "The phone is a new language model of design.",
    "The question is why I was charged twice.",
    "My answer is no.",
    "iPhone 15 Pro Max 256GB",
    "Thanks",
    "hello world",
    "-5 degrees in my flat, and the heating is off.",
    "Hi, I lost my card in 東京 yesterday.",
]
DECLINED = [
    "Sorry, I'm unable to assist with this task.",
    "I'm sorry, but I can't assist with that.",
    "I can’t help with that request.",
    "I cannot create content that is offensive.",
    "I'm sorry, but I can't fulfill this request.",
    "Unfortunately, I cannot provide an example of that.",
    "As an AI language model, I have no bank account.",
    "That's not something I can help with.",
    "I must respectfully decline.",
]
CHATTED = [
    "Sure! Here is an example: I lost my card.",
    "Certainly! Where is my card?",
    "Of course! Here's a message about a lost card.",
    "Here's one example of a customer message: Where is my card?",
    'The text is: "Where is my card?"',
    "Your task is to write a message about a lost card.",
    "Where is my card? This message is an example of card arrival.",
]

AROUND = [
    "Sure, here's a text:\nWhere is my card?",
    'Here is a customer query:\n"Where is my card?"',
    "Where is my card? (Note: this is about card arrival)",
    "Where is my card?\n\nLet me know if you'd like another one!",
    "Where is my card?\nI hope this helps!",
    "Where is my card?\n\n**Note:** This is about a card.",
    "Where is my card? (17 characters)",
    '"Where is my card?',
    'Where is my card?"',
    '{"text": "Where is my card?", "label": "card arrival"}',
    "```\nWhere is my card?\n```",
    "<output>Where is my card?</output>",
    "Where is my card?<|im_end|>",
    "<think>They want a message.</think>\nWhere is my card?",
    "finalWhere is my card?",
    "**Where is my card?**",
    "Message: Where is my card?",
]


@pytest.mark.parametrize("reply", AROUND)
def test_what_is_around_a_text_is_taken_off(reply: str) -> None:
    assert clean_reply(BANK, reply, "stop") == "Where is my card?"


@pytest.mark.parametrize("text", ORDINARY)
def test_what_people_write_is_kept(text: str) -> None:
    assert clean_reply(BANK, text, "stop") == text
    assert clean_reply(BANK, f'1. "{text}"', "stop") == text
    assert clean_reply(BANK, f"**Customer message:** {text}", "stop") in (text, text.removeprefix("-"))


@pytest.mark.parametrize(("replies", "reason"), [(DECLINED, "refusal"), (CHATTED, "preamble")])
def test_what_an_assistant_says_is_not(replies: list[str], reason: str) -> None:
    assert {reply: clean_reply(BANK, reply, "stop") for reply in replies} == dict.fromkeys(replies, Reject(reason))


@pytest.mark.parametrize(
    "reply",
    [
        "card arrival: where is it?",
        "Label: no\nI never said so.",
        "Where is it? (card_arrival)",
        "No - I never said so.",
        '"no"',
        '"card arrival.',
        '"card arrival" is: where a card is',
    ],
)
def test_a_reply_that_names_its_label_is_rejected(reply: str) -> None:
    assert clean_reply(BANK, reply, "stop") == Reject("names its label")


def test_several_texts_are_several_candidates() -> None:
    assert clean_reply(BANK, "1. Where is my card?\n2. My card is lost.", "stop") == Reject("several candidates")
    assert clean_reply(BANK, '"Where is my card?"\n"My card is lost."', "stop") == Reject("several candidates")


@pytest.mark.parametrize(
    ("reply", "language"),
    [
        ("Wo ist meine Karte? Sie ist noch nicht da.", "en"),
        ("私のカードはいつ届きますか。", "en"),
        ("我的卡什么时候到?", "en"),
        ("제 카드는 언제 도착하나요?", "en"),
        ("Where is my card? It has not arrived yet.", "de"),
        ("Where is my card? It has not arrived yet.", "ko"),
    ],
)
def test_a_reply_in_another_language_is_rejected(reply: str, language: str) -> None:
    assert clean_reply(Task("t", language=language, max_chars=200, labels=LABELS), reply, "stop") == Reject("wrong language")
    assert clean_reply(Task("t", language="", max_chars=200, labels=LABELS), reply, "stop") == reply


def test_a_language_that_is_not_known_to_the_library_refuses_nothing() -> None:
    assert not any(is_other_language(text, "tw") for text in ORDINARY)


def test_german_is_kept_as_german() -> None:
    texts = ["Wann kommt meine Karte an?", "Ich habe mein Passwort vergessen.", "Internet weg", "Danke", "Der Film war zu lang."]
    assert [clean_reply(Task("t", language="de", max_chars=200, labels=LABELS), text, "stop") for text in texts] == texts


def test_few_texts_of_banking77_are_touched() -> None:
    """At most 0.5% may be rejected, for any reason; one is, which is its label's name word for word."""
    path = MIRROR / "banking77" / "test.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with path.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    wrong = [text for text in texts if clean_reply(BANK, text, "stop") not in (" ".join(text.split()), Reject("too long"))]
    assert len(wrong) <= 0.005 * len(texts), wrong


@given(st.sampled_from(ORDINARY + DECLINED + CHATTED), st.text(max_size=30), st.text(max_size=30))
def test_a_cleaned_reply_stays_as_it_is(reply: str, before: str, after: str) -> None:
    cleaned = clean_reply(BANK, before + reply + after, "stop")
    if isinstance(cleaned, str):
        assert clean_reply(BANK, cleaned, "stop") == cleaned


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", ["\n", "(", "* ", "text: ", "Sure! ", "here is a ", "i can't ", "not ", "a' ", "(\n"])
def test_a_long_reply_is_read_quickly(unit: str) -> None:
    reply = (unit * 100_000)[:99_000] + "x"
    clean_reply(BANK, reply, "stop")
    read_answer(BANK, reply[:9_900])


MOOD = Task("mood", language="en", labels=[Label(name, "x") for name in ("positive", "negative", "neutral")])
SCORE = Task("score", language="en", target="regression", labels=[Label(str(n), "x", score=n) for n in range(6)])


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("Positive.", "positive"), ("**negative**", "negative"), ("The answer is negative. It is not neutral.", "negative"),
        ("not positive", None), ("isn’t positive", None), ("It does not seem to be positive.", None), ("far from positive", None),
        ("anything but positive", None), ("unlikely to be positive", None), ("hardly positive", None), ("non-positive", None),
        ("not positive but negative", "negative"), ("neutral rather than positive", "neutral"), ("positive, not negative", "positive"),
        ("neither positive nor negative, so neutral", "neutral"), ("positive is wrong; negative", "negative"),
        ("not only positive", "positive"), ("no doubt positive", "positive"), ("positive or negative", None),
        ("The text mentions positive aspects, but the answer is negative", "negative"),
        ("The label is negative, because nothing positive is said.", "negative"),
        ("Negative: it does not sound positive or neutral.", "negative"), ("negative (not neutral or positive)", "negative"),
    ],
)  # fmt: skip
def test_an_answer_names_the_label_that_it_affirms(reply: str, label: str | None) -> None:
    assert read_answer(MOOD, reply) == label


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("3", 3), ("three", 3), ("Four stars.", 4), ("five out of five", 5), ("4/5", 4), ("The score is 2.", 2), ("zero", 0),
        ("On a scale of 0 to 5, I'd say 4.", 4), ("Score: 3.5", 3.5), ("Text 1 and text 2 say the same: 5", 5),
        ("between 3 and 4", None), ("at least 3", None), ("more than 3", None), ("3 or more", None), ("3+", None), ("not 3", None),
        ("-1", None), ("7", None),
    ],
)  # fmt: skip
def test_an_answer_gives_one_number(reply: str, score: float | None) -> None:
    assert read_answer(SCORE, reply) == score


def is_ascii(chat: object) -> bool:
    return str(chat).isascii()


@pytest.mark.parametrize("prompting", [Prompting(), Prompting(system_role=False), Prompting(knowledge=True)], ids=str)
@pytest.mark.parametrize("template", range(3))
def test_nothing_japanese_stands_around_english_prompts(prompting: Prompting, template: int) -> None:
    for task, texts in ((BANK, ("Hi.",)), (PAIR, ("A dog runs.", "An animal runs."))):
        shown = [Example(texts, "no")]
        assert is_ascii(question_messages(task, prompting, texts, template, shown))
        assert is_ascii(messages(task, prompting, LABELS[0], [texts], "A dog runs." if task.is_pair else None))
        assert is_ascii([question.chats for question in attribute_questions(task, True)])
        assert is_ascii(list_phrase(4, scaffold_of(task)))
    asked = question_messages(PAIR, prompting, ("A dog {0} runs.", "An animal runs."), template, [])[-1]["content"]
    assert "Text 1: A dog {0} runs.\nText 2: An animal runs." in asked


def test_attributes_that_an_llm_names_are_drawn_with_english_words() -> None:
    (found,) = read_attributes(BANK, '[{"name": "channel", "values": ["phone", "mail"]}]')
    assert found.phrase.replace("{value}", "phone") == 'channel: "phone".'
