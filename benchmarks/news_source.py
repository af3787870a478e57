"""How much site names give away in task news: accuracy with and without data.strip_source, side by side.

    python benchmarks/news_source.py --mirror DIR

Compares, on the valid split of ours, (a) a rule that knows the sites' names and nothing else and (b) character 1- to 3-gram TF-IDF
with logistic regression on the train split. Writes benchmarks/results/news_source.json. Texts as the task cuts them, and whole.
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline

from japagen.config.schema import Data
from japagen.gold import read_eval, read_train
from japagen.tasks import Task

ROOT = Path(__file__).parents[1]
NAMES = {
    "sports-watch": r"Sports ?Watch",
    "smax": r"S-MAX|エスマックス",
    "it-life-hack": r"ITライフハック|デジ通",
    "dokujo-tsushin": r"独女通信",
    "kaden-channel": r"家電チャンネル|家電ch",
    "movie-enter": r"MOVIE ENTER|ムービーエンター",
    "peachy": r"Peachy",
    "livedoor-homme": r"livedoor ?HOMME",
    "topic-news": r"トピックニュース",
}


def measure(task: Task, data: Data) -> dict[str, Any]:
    """The figures of one way to read the corpus."""
    train, valid = read_train(task, data), read_eval(task, data)
    assert train is not None
    assert valid is not None
    gold = [example.label for example in valid.examples]
    texts = [example.texts[0] for example in valid.examples]
    majority = Counter(example.label for example in train.examples).most_common(1)[0][0]
    named = [next((label for label, name in NAMES.items() if re.search(name, text, re.I)), None) for text in texts]
    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True, max_features=100_000),
        LogisticRegression(C=10, max_iter=300),
    ).fit([example.texts[0] for example in train.examples], [example.label for example in train.examples])
    predicted = model.predict(texts)
    return {
        "chars": task.gold_chars,
        "strip_source": data.strip_source,
        "n": len(gold),
        "articles with a site's name": sum(name is not None for name in named),
        "majority": round(gold.count(majority) / len(gold), 4),
        "name rule": round(accuracy_score(gold, [name or majority for name in named]), 4),
        "tfidf accuracy": round(accuracy_score(gold, predicted), 4),
        "tfidf macro F1": round(f1_score(gold, predicted, average="macro"), 4),
    }


def main() -> None:
    """Measures all four ways and writes them down."""
    parser = argparse.ArgumentParser(description="How much site names give away in task news.")
    parser.add_argument("--mirror", required=True, help="folder laid out like the publishers' files")
    mirror = parser.parse_args().mirror
    task: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Task), OmegaConf.load(ROOT / "conf/task/news.yaml")))
    cut, rows = task.gold_chars, []
    for chars in (cut, None):
        task.gold_chars = chars
        for strip in (False, True):
            rows.append(measure(task, Data(source="published", mirror=mirror, strip_source=strip)))
            print(rows[-1], flush=True)
    out = ROOT / "benchmarks/results/news_source.json"
    out.write_text(json.dumps({"split": "news valid (ours)", "rows": rows}, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
