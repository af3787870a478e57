"""Captions of our own grammar, and pairs of them whose relation is known by construction.

A Scene (who, how many, what kind, where, doing what, how) renders to several Japanese sentences. A pair is a scene and an
edited scene: taking facts away or making them more general gives entailment, replacing one by its opposite gives
contradiction, adding one gives neutral; how much is kept gives the similarity ladder 0 to 5.
"""

import random
from dataclasses import dataclass, replace

from demo_models.words import (
    ENDINGS,
    KINDS,
    MANNERS,
    NUMERALS,
    PLACES_BY_CLASS,
    SYNONYMS,
    Action,
    Kind,
    Noun,
    Place,
    whole_word,
)

RELATIONS = ("entailment", "contradiction", "neutral")


@dataclass(frozen=True)
class Scene:
    """What a caption says; an empty field says nothing."""

    kind: str
    noun: Noun
    action: Action
    count: int = 0
    """Index into NUMERALS; 0: not said."""
    modifier: str = ""
    place: Place | None = None
    manner: str = ""


@dataclass(frozen=True)
class Style:
    """How a scene is put into words: order and ending."""

    place_first: bool
    count_after: bool
    comma: bool
    ending: str


def draw_scene(rng: random.Random, kind: str = "", richness: float = 0.6) -> Scene:
    """A scene at random; `richness` is the chance of each optional fact."""
    name = kind or rng.choice([*KINDS])
    words = KINDS[name]
    action = rng.choice(words.actions)
    return Scene(
        kind=name,
        noun=rng.choice(words.nouns),
        action=action,
        count=rng.randint(1, 3) if rng.random() < richness * 0.6 else 0,
        modifier=rng.choice([*words.modifiers]) if rng.random() < richness else "",
        place=_draw_place(rng, action) if rng.random() < richness + 0.2 else None,
        manner=rng.choice(MANNERS[name]) if MANNERS[name] and rng.random() < richness * 0.4 else "",
    )


def draw_style(rng: random.Random) -> Style:
    """Order and ending at random; the plain polite form is the most frequent, as in real captions."""
    ending = ENDINGS[0] if rng.random() < 0.6 else rng.choice(ENDINGS)
    return Style(rng.random() < 0.6, rng.random() < 0.3, rng.random() < 0.2, ending)


def render(scene: Scene, style: Style, ending: str = "") -> str:
    """The scene as one sentence; `ending` replaces the style's (a negation)."""
    counter = KINDS[scene.kind].counter_of(scene.noun)
    number = f"{NUMERALS[scene.count]}{counter}" if scene.count else ""
    comma = "、" if style.comma else ""
    noun = f"{scene.modifier}{scene.noun.word}が"
    subject = noun + number if style.count_after else f"{number and number + 'の'}{noun}"
    place = f"{scene.place.word}{scene.action.particle}" if scene.place else ""
    order = [place and place + comma, subject] if style.place_first else [subject + (comma if number and style.count_after else ""), place]
    return "".join([*order, scene.manner, scene.action.te, ending or style.ending])


def caption(rng: random.Random) -> str:
    """One sentence that describes a picture."""
    return render(draw_scene(rng), draw_style(rng))


def nli_pair(relation: str, rng: random.Random) -> tuple[str, str]:
    """Premise and hypothesis that stand in `relation` (one of RELATIONS)."""
    style = draw_style(rng)
    other = style if rng.random() < 0.7 else draw_style(rng)
    if relation == "entailment":
        scene = draw_scene(rng, richness=0.75)
        return render(scene, style), render(generalise(scene, rng), other)
    if relation == "contradiction":
        scene = draw_scene(rng)
        if rng.random() < 0.25:
            return render(scene, style), render(scene, other, ending="いません。")
        return render(scene, style), render(_maybe_drop(contradict(scene, rng), scene, rng), other)
    scene = draw_scene(rng, richness=0.35)
    return render(scene, style), render(add_fact(scene, rng), other)


def generalise(scene: Scene, rng: random.Random) -> Scene:
    """The scene with one to three facts taken away or made more general, so that it follows from the first."""
    edits = [
        replace(scene, modifier="") if scene.modifier else None,
        replace(scene, place=None) if scene.place else None,
        replace(scene, manner="") if scene.manner else None,
        replace(scene, count=0) if scene.count else None,
        replace(scene, noun=replace(scene.noun, word=scene.noun.hypernym)) if scene.noun.hypernym else None,
        replace(scene, action=replace(scene.action, te=scene.action.general)) if scene.action.general else None,
    ]
    made = rng.choice([edit for edit in edits if edit is not None])
    return generalise(made, rng) if rng.random() < 0.3 and made != scene and _has_facts(made) else made


def contradict(scene: Scene, rng: random.Random) -> Scene:
    """The scene with one fact replaced by one that can't hold with it."""
    edits = [
        replace(scene, action=replace(scene.action, te=scene.action.opposite)),
        replace(scene, action=replace(scene.action, te=scene.action.opposite)),
        replace(scene, noun=replace(scene.noun, word=scene.noun.opposite)),
    ]
    if scene.modifier and KINDS[scene.kind].modifiers[scene.modifier]:
        edits.append(replace(scene, modifier=KINDS[scene.kind].modifiers[scene.modifier]))
    if scene.count:
        edits.append(replace(scene, count=scene.count % 3 + 1))
    if scene.place and scene.place.opposite:
        edits.append(replace(scene, place=Place(scene.place.opposite)))
    return rng.choice(edits)


def add_fact(scene: Scene, rng: random.Random) -> Scene:
    """The scene with something added that the first doesn't say."""
    words = KINDS[scene.kind]
    edits = []
    if not scene.modifier:
        edits += [replace(scene, modifier=rng.choice([*words.modifiers]))] * 2
    if not scene.place:
        edits.append(replace(scene, place=_draw_place(rng, scene.action)))
    if not scene.manner and MANNERS[scene.kind]:
        edits.append(replace(scene, manner=rng.choice(MANNERS[scene.kind])))
    if not scene.count:
        edits.append(replace(scene, count=rng.randint(2, 3)))
    return rng.choice(edits) if edits else contradict(replace(scene, modifier="", count=0), rng)


def similar_pair(level: int, rng: random.Random) -> tuple[str, str]:
    """Two captions whose meanings are `level` (0 to 5) close."""
    scene, style = draw_scene(rng, richness=0.65), draw_style(rng)
    first = render(scene, style)
    if level == 5:
        return first, paraphrase(scene, style, rng)
    return first, render(_LADDER[level](scene, rng), draw_style(rng) if rng.random() < 0.5 else style)


def paraphrase(scene: Scene, style: Style, rng: random.Random) -> str:
    """A paraphrase of the scene: synonyms where there are any, another order, another ending."""
    ending = rng.choice([end for end in ENDINGS if end != style.ending])
    other = Style(not style.place_first, style.count_after, rng.random() < 0.3, rng.choice([style.ending, ending]))
    text = render(scene, other)
    for word, synonym in SYNONYMS:
        if word in text and rng.random() < 0.6:
            text = whole_word(word).sub(synonym, text, count=1)
    return text if text != render(scene, style) else render(scene, replace(style, ending=ending))


def _small_change(scene: Scene, rng: random.Random) -> Scene:
    """Level 4: one detail dropped or added."""
    details = [
        replace(scene, modifier="") if scene.modifier else replace(scene, modifier=rng.choice([*KINDS[scene.kind].modifiers])),
        replace(scene, manner="") if scene.manner or not MANNERS[scene.kind] else replace(scene, manner=rng.choice(MANNERS[scene.kind])),
        replace(scene, count=0) if scene.count else replace(scene, count=1),
    ]
    changed = [detail for detail in details if detail != scene]
    return rng.choice(changed)


def _important_change(scene: Scene, rng: random.Random) -> Scene:
    """Level 3: the same event with another place, number, colour or counterpart."""
    edits = [replace(scene, noun=replace(scene.noun, word=scene.noun.opposite)), replace(scene, place=_draw_place(rng, scene.action))]
    if scene.modifier:
        edits.append(replace(scene, modifier=KINDS[scene.kind].modifiers[scene.modifier] or ""))
    if scene.count:
        edits.append(replace(scene, count=scene.count % 3 + 1))
    return rng.choice([edit for edit in edits if edit != scene])


def _shared_element(scene: Scene, rng: random.Random) -> Scene:
    """Level 2: the same subject does something else, or another does the same."""
    other = _other_scene(scene, rng)
    if rng.random() < 0.6:
        return replace(other, noun=scene.noun, modifier=scene.modifier)
    return replace(other, action=scene.action, place=scene.place)


def _same_topic(scene: Scene, rng: random.Random) -> Scene:
    """Level 1: the same kind of picture, nothing else in common."""
    return _other_scene(scene, rng)


def _unrelated(scene: Scene, rng: random.Random) -> Scene:
    """Level 0: another kind of picture."""
    return draw_scene(rng, kind=rng.choice([kind for kind in KINDS if kind != scene.kind]))


_LADDER = (_unrelated, _same_topic, _shared_element, _important_change, _small_change)


def _other_scene(scene: Scene, rng: random.Random) -> Scene:
    """A scene of the same kind with another subject and another action."""
    words: Kind = KINDS[scene.kind]
    action = rng.choice([action for action in words.actions if action.te != scene.action.te])
    noun = rng.choice([noun for noun in words.nouns if noun.word != scene.noun.word])
    return replace(draw_scene(rng, kind=scene.kind), noun=noun, action=action, place=_draw_place(rng, action))


def _draw_place(rng: random.Random, action: Action) -> Place:
    return rng.choice(PLACES_BY_CLASS[rng.choice(action.places)])


def _maybe_drop(changed: Scene, scene: Scene, rng: random.Random) -> Scene:
    """Sometimes also without the place, if that isn't what was changed."""
    return replace(changed, place=None) if changed.place == scene.place and rng.random() < 0.3 else changed


def _has_facts(scene: Scene) -> bool:
    return bool(scene.modifier or scene.place or scene.manner or scene.count)
