"""What the filters cost for a large stream: seconds of each part and peak memory, near duplicates included, and how that grows with rows.

    python benchmarks/filters.py [--rows 10000 100000 1000000] [--rounds 3] [--profile] [--against CHECKOUT]

Makes streams of task covid19 whose texts are put together from tables of words (seeded): of their rows 5% repeat an earlier one of the
label, 10% are one with a character changed, 5% are rejects of ten kinds, and some hold a piece of an evaluation text. Each is read, judged,
checked against 2,000 evaluation texts, split and written by a process of its own, every row being needed. Streams of up to 100,000 rows
are done `rounds` times, larger ones once. `--against` does each of the former with another checkout's code too, turn by turn, and says
whether both wrote the same bytes; `--profile` tells where the time of the largest of them goes. Writes benchmarks/results/filters.json.
"""

import argparse
import cProfile
import hashlib
import itertools
import json
import os
import pstats
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measuring import ROOT, machine, write_result
from omegaconf import OmegaConf

from japagen.config.schema import Curate
from japagen.curation.contamination import EvaluationTexts
from japagen.curation.dataset import dataset_card, make_dataset, selected_examples, write_dataset
from japagen.curation.select import Selector
from japagen.store.rowsfile import StreamRow, StreamRows
from japagen.tasks import Task

MOST_ROUNDS_ROWS = 100_000
"""Larger streams are measured once."""
NUM_FUNCTIONS = 12
"""Functions of a profile that are listed, by their own time."""
NUM_EVALUATION = 2_000
TEXTS_PER_REQUEST = 8
SHARES = {"duplicate": 0.05, "near duplicate": 0.10, "reject": 0.05, "wrapped": 0.05, "evaluation": 0.002}

WHEN = (
    "昨日の夕方|今朝早く|先週の土曜日に|連休の初日|月末の金曜日|お昼すぎに|三日前の夜|雨の降る午後|年度末の朝|仕事の帰りに"
    "|秋の終わりごろ|春先のある日|五月の半ば|冬休みの前に|きのう久しぶりに|明け方近く|夏の暑い盛りに|休みの日の昼前|日が暮れてから"
    "|台風の翌朝"
)
WHERE = (
    "薬局で|の窓口で|公園で|図書館で|病院で|商店街で|の台所で|会議室で|市場で|という宿で|前のバス停で|体育館で|喫茶店で|郵便局で|団地で"
    "|の待合室で|保健室で|映画館で|食堂で|の売店で"
)
SURNAMES = "佐藤|鈴木|高橋|田中|伊藤|渡辺|山本|中村|小林|加藤|吉田|山田|松本|井上|木村|清水|山口|阿部|池田|橋本|石川|前田|藤田|小川|岡田"
GIVEN = "陽菜|蓮|美咲|大翔|結衣|悠真|葵|湊|凛|樹|紬|朝陽|杏|颯太|莉子|律|花音|健一|真由美|哲也|恵子|直樹|久美|浩|智子"
WHAT = (
    "新しいマスクを|検査の結果を|予約の葉書を|体温計の電池を|消毒用の瓶を|配達の弁当を|休業の貼り紙を|古い写真の束を|手作りの布袋を"
    "|入荷した米袋を|返ってきた荷物を|説明の動画を|窓ごしの景色を|借りた自転車を|庭の柿の実を|満員の座席を|遠足の案内を"
    "|壊れた傘の柄を|無料の冊子を|知事の会見を"
)
DID = (
    "何度も確かめていた|そっと受け取った|黙って眺めていた|忘れて帰ってきた|写真に撮っていた|大事にしまった|友だちに譲った"
    "|慌てて探していた|笑いながら見せた|箱ごと買っていった|丁寧に磨いていた|机の上に並べた|半分だけ使った|取り替えてもらった"
    "|最後まで読んだ|誰かに頼んでいた|両手で抱えていた|指でなぞっていた"
)
ENDS = "。|。さて、どうなる。|…。|！|。今日はここまで。|。また書きます。|。ほんとうに。|〜。|。まあいいか。|。次は気をつけます。"
PIECES = (
    "縞模様の風船が四つ|銀杏並木をゆっくり|錆びた門扉のむこう|羊雲がちぎれて流れ|回覧板を受けとって|桟橋で釣り糸を垂れ"
    "|土鍋の蓋をずらして|藍染めの手拭い二枚"
)
TAILS = {
    "fact": "感染者は{n}人になったという|新規の入院は{n}件と発表された|接種を終えた人は{n}万人を超えた"
    "|病床の使用率は{n}割台が続く|検査は一日{n}件まで増えた",
    "personal": "熱が{n}日も下がらなかった|授業が{n}回も休みになった|旅行の取り消し料は{n}円だった"
    "|味がしないまま{n}週間たった|在宅勤務も{n}日めになる",
    "opinion": "補償が{n}円では足りないと思う|あと{n}か月は我慢すべきだ|会見を{n}分も聞いて疲れた"
    "|{n}回も延ばすのはおかしい|対策が{n}年遅れている気がする",
    "unrelated": "夕飯は{n}人分のカレーにした|駅まで{n}歩も歩いてしまった|漫画を{n}冊まとめて読んだ"
    "|猫が{n}回も鳴いて起こす|映画の席は{n}番だった",
}
EDITS = "あえか今も彼夜新光音"
KANA = [chr(code) for code in range(ord("カ"), ord("ロ"))]


def main() -> None:
    """Makes the streams, measures each in processes of their own, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="also where the time goes")
    parser.add_argument("--against", type=Path, help="another checkout, for comparison")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--profile-of", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure or args.profile_of:
        print(json.dumps(measure(args.measure) if args.measure else profile(args.profile_of), ensure_ascii=False))
        return
    description = machine("datasketch", "numpy", "pyarrow")
    report: dict[str, Any] = {"task": "covid19", "shares": SHARES, "evaluation texts": NUM_EVALUATION, "machine": description, "runs": []}
    for num in sorted(args.rows):
        with tempfile.TemporaryDirectory() as folder:
            report["runs"].append({"rows": num, **make_stream(Path(folder), num), **compare(Path(folder), num, args)})
            print(report["runs"][-1], file=sys.stderr, flush=True)
            if args.profile and num <= MOST_ROUNDS_ROWS:
                report["profile"] = {"rows": num, **run("--profile-of", Path(folder), ROOT)}
    report["growth"] = [further(less, more) for less, more in itertools.pairwise(report["runs"])]
    write_result("filters", report)


def compare(folder: Path, num: int, args: argparse.Namespace) -> dict[str, Any]:
    """One stream with this checkout's code and, where another is given, with that one's, turn by turn."""
    rounds = args.rounds if num <= MOST_ROUNDS_ROWS else 1
    checkouts = {"ours": ROOT} | ({"against": args.against} if args.against and num <= MOST_ROUNDS_ROWS else {})
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
    for turn in range(rounds):
        for name in sorted(checkouts, reverse=turn % 2 == 0):
            runs[name].append(run("--measure", folder, checkouts[name]))
    found: dict[str, Any] = {"rounds": rounds} | {name: summary(ones) for name, ones in runs.items()}
    if "against" in runs:
        ratios = [run["cpu seconds"] / other["cpu seconds"] for run, other in zip(runs["ours"], runs["against"], strict=True)]
        found["CPU, ours by theirs"] = spread(ratios)
        found["the same bytes"] = len({run["sha256"] for own_runs in runs.values() for run in own_runs}) == 1
    return found


def further(less: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """What each further row costs from one size to the next: the same from step to step where growth is linear."""
    num, old, new = more["rows"] - less["rows"], less["ours"], more["ours"]
    cpu = new["cpu seconds"]["median"] - old["cpu seconds"]["median"]
    held = new["peak_gb"] - old["peak_gb"]
    return {"from": less["rows"], "to": more["rows"], "us of CPU a row": round(cpu / num * 1e6, 1), "bytes a row": round(held / num * 1e9)}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median round's figures, with the spread of CPU seconds over rounds."""
    middle = sorted(runs, key=lambda run: run["cpu seconds"])[len(runs) // 2]
    return middle | {"cpu seconds": spread([run["cpu seconds"] for run in runs])}


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": round(statistics.median(values), 2), "least": round(min(values), 2), "most": round(max(values), 2)}


def run(option: str, folder: Path, checkout: Path) -> dict[str, Any]:
    """`measure` or `profile` with a checkout's code, in a process that has made nothing else."""
    command = [sys.executable, __file__, option, str(folder)]
    path = os.pathsep.join([str(checkout), str(ROOT / "benchmarks")])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure(folder: Path) -> dict[str, Any]:
    """CPU seconds of each part, the machine's load (mean of 5 minutes), the process's peak memory, and what came out of the stream."""
    import pyarrow.parquet  # noqa: F401  its import counts as no part

    task, began, clock = load_task(), time.perf_counter(), [time.process_time()]
    rows = StreamRows(folder)
    clock.append(time.process_time())
    selector = Selector(task, Curate(), len(rows))  # more than there are, so that no row is passed over
    selector.advance(rows)
    clock.append(time.process_time())
    evaluation = EvaluationTexts(json.loads((folder / "evaluation.json").read_text(encoding="utf-8")))
    dataset = make_dataset(task, selected_examples(task, selector), selector.counts, selector.rejected, evaluation)
    clock.append(time.process_time())
    out = folder / "out"
    out.mkdir(exist_ok=True)
    write_dataset(task, dataset, out, dataset_card(task, dataset, {}))
    clock.append(time.process_time())
    parts = ("read", "judge", "check and split", "write")
    rejects: Counter[str] = Counter()
    for reasons in dataset.rejects.values():
        rejects.update(reasons)
    return {
        "cpu seconds": round(clock[-1] - clock[0], 2),
        "seconds": round(time.perf_counter() - began, 2),
        "cpu seconds by part": {name: round(end - start, 2) for name, start, end in zip(parts, clock, clock[1:], strict=False)},
        "load": round(os.getloadavg()[1], 1),
        "peak_gb": peak_gb(),
        "train": len(dataset.train),
        "valid": len(dataset.valid),
        "rejects": dict(sorted(rejects.items())),
        "sha256": hashlib.sha256(b"".join(path.read_bytes() for path in sorted(out.iterdir()))).hexdigest(),
    }


def profile(folder: Path) -> dict[str, Any]:
    """Functions with the most seconds of their own, as cProfile sees them; its own cost makes small ones look larger."""
    profiler = cProfile.Profile()
    profiler.runcall(measure, folder)
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    whole = sum(own for _, _, own, _, _ in stats.values())
    rows = sorted(((own, calls, Path(file).name, name) for (file, _, name), (_, calls, own, _, _) in stats.items()), reverse=True)
    return {
        "seconds": round(whole, 1),
        "functions": [
            {"function": f"{file}:{name}", "calls": calls, "share": round(own / whole, 3)}
            for own, calls, file, name in rows[:NUM_FUNCTIONS]
        ],
    }


def peak_gb() -> float:
    """Most memory this process has held at once (10^9 bytes); getrusage would count its parent's too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found
    return round(int(found[1]) * 1024 / 1e9, 2)


def make_stream(folder: Path, num: int) -> dict[str, float]:
    """Writes a stream of `num` rows as two writers would, their requests in no order, and the evaluation texts."""
    rng = random.Random(num)
    task = load_task()
    texts = ["、".join(pick(rng, PIECES) for _ in range(4)) + f"た{rng.randrange(1000)}。" for _ in range(NUM_EVALUATION)]
    (folder / "evaluation.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    size, waiting = 0, []
    with (
        (folder / "rows-0000-a.jsonl").open("w", encoding="utf-8") as first,
        (folder / "rows-0001-b.jsonl").open("w", encoding="utf-8") as second,
    ):
        for request in (*make_requests(rng, task, num, texts), None):
            if request is not None:
                waiting.append(request)
                size += sum(len(row.text) for row in request)
            while waiting and (request is None or len(waiting) > 256):
                index = rng.randrange(len(waiting))
                waiting[index], waiting[-1] = waiting[-1], waiting[index]
                lines = [json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in waiting.pop()]
                rng.choice((first, second)).writelines(lines)
    written = sum(path.stat().st_size for path in folder.glob("rows-*.jsonl"))
    return {"mean characters": round(size / num, 1), "bytes on disk a row": round(written / num, 1)}


def make_requests(rng: random.Random, task: Task, num: int, evaluation: list[str]) -> Iterator[list[StreamRow]]:
    """The stream's rows, a request at a time; `num` of them in all."""
    names = task.label_names
    earlier: dict[str, deque[str]] = {name: deque(maxlen=20_000) for name in names}
    for first in range(0, num // len(names), TEXTS_PER_REQUEST):
        for name in names:
            indices = range(first, min(first + TEXTS_PER_REQUEST, num // len(names)))
            replies = [make_reply(rng, name, earlier[name], evaluation) for _ in indices]
            yield [StreamRow(i, name, 0, *reply, 250, 40, 10**14 + i) for i, reply in zip(indices, replies, strict=True)]


def make_reply(rng: random.Random, label: str, earlier: deque[str], evaluation: list[str]) -> tuple[str, str]:
    """A reply and its finish reason."""
    kind = rng.choices([*SHARES, "new"], [*SHARES.values(), 1 - sum(SHARES.values())])[0]
    if kind == "reject":
        return reject(rng, label)
    text = compose_text(rng, label)
    if kind == "evaluation":
        start = rng.randrange(2)
        return text[:20] + rng.choice(evaluation)[start : start + 15] + text[20:], "stop"
    if kind == "wrapped":
        return rng.choice(["「{}」", "1. {}", "例文：{}", "・{}"]).format(text), "stop"
    if kind in ("duplicate", "near duplicate") and earlier:
        text = rng.choice(earlier)
        if kind == "near duplicate":
            index = rng.randrange(len(text))
            text = text[:index] + rng.choice(EDITS) + text[index + rng.randrange(2) :]
        return text, "stop"
    earlier.append(text)
    return text, "stop"


def compose_text(rng: random.Random, label: str) -> str:
    """Two sentences of the label, about 50 characters; made-up names and numbers make its 3-grams as various as real texts' are."""
    shop = "".join(rng.choices(KANA, k=rng.randrange(2, 5)))
    who = pick(rng, SURNAMES) + pick(rng, GIVEN) + rng.choice(["さん", "君", "先生", "課長", "ちゃん"])
    opening = pick(rng, WHEN) + shop + pick(rng, WHERE) + who + rng.choice("がもは") + pick(rng, WHAT) + pick(rng, DID)
    tail = pick(rng, TAILS[label]).format(n=rng.randrange(2, 10 ** rng.randrange(1, 5) + 2))
    return opening + rng.choice(["。", "。そして", "。でも", "し、", "。結局"]) + tail + pick(rng, ENDS)


def reject(rng: random.Random, label: str) -> tuple[str, str]:
    """A reply of one of ten kinds that the filters refuse."""
    text = compose_text(rng, label)
    word = {"fact": "一般的な事実", "personal": "個人の事実", "opinion": "意見", "unrelated": "無関係"}[label]
    return rng.choice(
        [
            ("", "error"),
            (text[:20], "length"),
            ("……", "stop"),
            (f"申し訳ありませんが、{text[:10]}についてはお答えできません。", "stop"),
            (f"はい、承知しました。{text}", "stop"),
            (f"1. {text}\n2. {compose_text(rng, label)}", "stop"),
            (f"{word}：{text}", "stop"),
            (f"Yesterday {rng.randrange(10_000)} people were waiting at the station for their masks.", "stop"),
            (text[:4], "stop"),
            (text + compose_text(rng, label) + compose_text(rng, label), "stop"),
        ]
    )


def pick(rng: random.Random, table: str) -> str:
    """One of the words of a table."""
    return rng.choice(table.split("|"))


def load_task() -> Task:
    """The shipped task."""
    task = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Task), OmegaConf.load(ROOT / "conf/task/covid19.yaml")))
    assert isinstance(task, Task)
    return task


if __name__ == "__main__":
    main()
