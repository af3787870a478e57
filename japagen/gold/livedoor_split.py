"""Makes livedoor_split.json: which article of the livedoor news corpus is in train, valid or test. Same corpus, same bytes.

    python -m japagen.gold.livedoor_split --mirror DIR      (a folder that has ldcc/ldcc-20140209.tar.gz)

The rules, on titles and bodies without the site's and column's name (so that 【Sports Watch】 is no series):
1. Articles belong together where they share
   - the first 50 characters of the body, stripped or not; or
   - a column 【…】, a numbered name (`… vol.3`, `第2回 …`, `… (4)`) or a title's first 12 characters, digits aside, unless more
     than 40 articles (5% of a category) share it: then it is a column of the site and no series; or
   - half of their character 5-grams (Jaccard), over the whole text or its first 200 characters: candidates by MinHash LSH
     (datasketch, 128 permutations), each then counted exactly, so the work grows with the number of articles only.
2. Groups (the transitive closure) are drawn whole, in an order given by a hash of seed and ids: 10% valid, 10% test, the rest
   train. A group of more than 10 articles goes to train, lest a series make up much of an evaluation split's category.
3. Articles without a group fill up each category, so that valid and test hold 10% of every one.
"""

import argparse
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from datasketch import MinHash, MinHashLSH

from japagen.gold import livedoor
from japagen.gold.livedoor import Article

SEED = 0
SHARES = {"valid": 0.1, "test": 0.1}
"""The rest is train."""
MAX_SERIES = 40
MAX_EVAL_GROUP = 10
NUM_LEAD_CHARS = 50
NUM_TITLE_CHARS = 12
NGRAM = 5
NUM_CUT_CHARS = 200
MIN_JACCARD = 0.5
MIN_CANDIDATE_JACCARD = 0.3
"""Lower than MIN_JACCARD, because LSH misses some pairs at its own threshold."""
NUM_PERMUTATIONS = 128

_NUMBERED = re.compile(
    r"(?P<before>[^「」『』【】：:！？!?—〜～　]*?)\s*(?:vol\.?|第|その|no\.?|[#＃(（\[])\s*[0-9０-９一二三四五六七八九十]+\s*"
    r"(?P<after>[^「」『』【】：:！？!?—〜～　]*)",
    re.IGNORECASE,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mirror", type=Path, required=True, help="folder that has ldcc/ldcc-20140209.tar.gz")
    parser.add_argument("--out", type=Path, default=livedoor.SPLIT_FILE, help="file to write (default: %(default)s)")
    arguments = parser.parse_args()
    articles = livedoor.read_articles(arguments.mirror / "ldcc" / "ldcc-20140209.tar.gz")
    written = describe_split(articles, assign_groups(group_articles(articles), SEED), SEED)
    arguments.out.write_text(render(written), encoding="utf-8")
    print(json.dumps(written["counts"], indent=1))


def render(described: dict[str, Any]) -> str:
    """The split file's content."""
    return json.dumps(described, ensure_ascii=False, indent=1) + "\n"


def group_articles(articles: Sequence[Article]) -> list[list[Article]]:
    """Articles that belong together, smallest id first within and between groups; one without kin is a group of one."""
    links = [*_shared_keys(articles), *_near_duplicates(articles)]
    leader = {article.id: article.id for article in articles}

    def find(id_: str) -> str:
        while leader[id_] != id_:
            leader[id_] = leader[leader[id_]]
            id_ = leader[id_]
        return id_

    for first, second in links:
        low, high = sorted((find(first), find(second)))
        leader[high] = low
    groups: dict[str, list[Article]] = defaultdict(list)
    for article in sorted(articles, key=lambda article: article.id):
        groups[find(article.id)].append(article)
    return [groups[id_] for id_ in sorted(groups)]


def _shared_keys(articles: Sequence[Article]) -> Iterator[tuple[str, str]]:
    sharing: dict[tuple[str, str], list[str]] = defaultdict(list)
    for article in articles:
        for key in set(_keys(article)):
            sharing[key].append(article.id)
    for (kind, _), ids in sharing.items():
        if kind == "lead" or len(ids) <= MAX_SERIES:
            yield from pairwise(ids)


def _keys(article: Article) -> Iterator[tuple[str, str]]:
    """(kind, name) of everything that makes `article` kin to others with the same."""
    for body in (" ".join(" ".join(article.lines).split()), livedoor.strip_body(article.lines)):
        if body:
            yield "lead", body[:NUM_LEAD_CHARS]
    title = livedoor.strip_title(article.title)
    start = re.sub(r"\s", "", _without_digits(title))[:NUM_TITLE_CHARS]
    if len(start) == NUM_TITLE_CHARS:
        yield "title", start
    for column in re.findall(r"【([^】]{1,24})】", article.title):
        yield "column", _without_digits(column)
    for match in _NUMBERED.finditer(article.title):
        name = match["before"][-NUM_TITLE_CHARS:].strip(" 　-－／|｜") or match["after"][:NUM_TITLE_CHARS].strip()
        if len(name) >= 4:
            yield "numbered", _without_digits(name)


def _without_digits(text: str) -> str:
    return re.sub(r"[0-9０-９]+", "#", text)


def _near_duplicates(articles: Sequence[Article]) -> Iterator[tuple[str, str]]:
    """Pairs of ids whose whole texts, or whose first 200 characters, share at least half of their character 5-grams."""
    texts = {article.id: livedoor.article_text(article, strip=True) for article in articles}
    for length in (None, NUM_CUT_CHARS):
        index = MinHashLSH(threshold=MIN_CANDIDATE_JACCARD, num_perm=NUM_PERMUTATIONS)
        for id_, text in texts.items():
            signature = MinHash(num_perm=NUM_PERMUTATIONS, seed=1)
            signature.update_batch([gram.encode() for gram in sorted(_ngrams(text[:length]))])
            for other in index.query(signature):
                if _jaccard(_ngrams(text[:length]), _ngrams(texts[other][:length])) >= MIN_JACCARD:
                    yield other, id_
            index.insert(id_, signature)


def _ngrams(text: str) -> set[str]:
    text = text.replace(" ", "")
    return {text[start : start + NGRAM] for start in range(max(1, len(text) - NGRAM + 1))}


def _jaccard(first: set[str], second: set[str]) -> float:
    return len(first & second) / len(first | second)


def assign_groups(groups: Sequence[Sequence[Article]], seed: int) -> dict[str, str]:
    """Article id -> split; no group is parted, and each category has its share of every split as far as groups allow."""
    num_in_category = Counter(article.category for group in groups for article in group)
    free = {name: {category: round(share * number) for category, number in num_in_category.items()} for name, share in SHARES.items()}
    assigned = {}
    by_hash = sorted(groups, key=lambda group: _hash(seed, group))
    for group in sorted(by_hash, key=lambda group: len(group) == 1):  # those without kin come last and fill up
        name = _fill(group, free) if len(group) == 1 else _draw(group, free, _hash(seed, group))
        for article in group:
            assigned[article.id] = name
            if name in free:
                free[name][article.category] -= 1
    return assigned


def _draw(group: Sequence[Article], free: dict[str, dict[str, int]], drawn: float) -> str:
    """The split in whose share `drawn` lies; train where the group is too large for that split or has no room there."""
    needs = Counter(article.category for article in group)
    low = 0.0
    for name, share in SHARES.items():
        fits = len(group) <= MAX_EVAL_GROUP and all(free[name][category] >= number for category, number in needs.items())
        if low <= drawn < low + share and fits:
            return name
        low += share
    return "train"


def _fill(group: Sequence[Article], free: dict[str, dict[str, int]]) -> str:
    return next((name for name in free if free[name][group[0].category] > 0), "train")


def _hash(seed: int, group: Iterable[Article]) -> float:
    """A number from 0 up to 1 that depends on seed and ids only."""
    content = json.dumps([seed, sorted(article.id for article in group)])
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:6]) / 2**48


def describe_split(articles: Sequence[Article], assigned: dict[str, str], seed: int) -> dict[str, Any]:
    """What livedoor_split.json holds."""
    names = ["train", *SHARES]
    categories = sorted({article.category for article in articles})
    numbers: dict[str, dict[str, list[str]]] = {name: {category: [] for category in categories} for name in names}
    for article in articles:
        numbers[assigned[article.id]][article.category].append(article.id.rpartition("-")[2])
    return {
        "made_by": "python -m japagen.gold.livedoor_split (its docstring has the rules)",
        "seed": seed,
        "checksum": livedoor.checksum(articles),
        "counts": {name: {category: len(found) for category, found in numbers[name].items()} for name in names},
        "ids": {name: {category: " ".join(sorted(found)) for category, found in numbers[name].items()} for name in names},
    }


if __name__ == "__main__":
    main()
