"""The livedoor corpus: what is read from an archive, what is stripped, which faults are named, and that our split holds what it says."""

import io
import json
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.config.schema import Data
from japagen.errors import ConfigError, DataError
from japagen.gold import Split, livedoor, livedoor_split, read_eval, read_train
from japagen.gold.livedoor import Article, article_text, strip_body, strip_title
from tests.conftest import MIRROR, load_task, needs_mirror

ARCHIVE = "ldcc/ldcc-20140209.tar.gz"
SPLITS = ("train", "valid", "test")
Files = dict[str, str]


def written(title: str, *body: str) -> str:
    return "\n".join(["http://news.example.org/1/", "2012-01-01T10:00:00+0900", title, *body]) + "\n"


SPORTS = written(
    "【Sports Watch】監督が語る", "　昨日の試合で、Sports Watchは監督に聞いた。", "", "勝てて良かった。", "■関連リンク", "・試合の写真"
)
FILES: Files = {
    "text/README.txt": "about",
    "text/CHANGES.txt": "changes",
    "text/peachy/LICENSE.txt": "licence",
    "text/peachy/peachy-11.txt": written("春の色", "淡い色がはやっています。"),
    "text/peachy/peachy-12.txt": written("秋の色", "深い色がはやります。"),
    "text/sports-watch/LICENSE.txt": "licence",
    "text/sports-watch/sports-watch-21.txt": SPORTS,
    "text/sports-watch/sports-watch-22.txt": written("大差の試合", "決勝は大差がついた。"),
}
ASSIGNED = {"peachy-11": "train", "peachy-12": "valid", "sports-watch-21": "valid", "sports-watch-22": "test"}


def pack(folder: Path, files: Files) -> Path:
    path = folder / ARCHIVE
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            content = text.encode("utf-8", errors="surrogateescape")
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny corpus, whose articles our split is made to be of."""
    path = pack(tmp_path, FILES)
    found = livedoor_split.describe_split(livedoor.read_articles(path), ASSIGNED, seed=7)
    monkeypatch.setattr(livedoor, "read_split_file", lambda: found)
    return path


def read(archive: Path, split: str = "valid", strip: bool = True, **changes: object) -> Split:
    task = load_task("news")
    for key, value in changes.items():
        setattr(task, key, value)
    for file in task.published.splits.values():
        file.rows = 0
    data = Data(source="published", mirror=str(archive.parent.parent), strip_source=strip)
    found = read_train(task, data) if split == "train" else read_eval(task, data, split)
    assert found is not None
    return found


def test_a_split_is_title_and_body_with_the_sites_name_off(archive: Path) -> None:
    valid = read(archive)
    assert {example.id: (example.texts, example.label) for example in valid.examples} == {
        "peachy-12": (("秋の色 深い色がはやります。",), "peachy"),
        "sports-watch-21": (("監督が語る 昨日の試合で、は監督に聞いた。 勝てて良かった。",), "sports-watch"),
    }
    assert valid.source == "livedoor news corpus 20140209 valid"
    assert valid.notes[0].startswith("our split, seed 7: stratified")
    assert "site names" in valid.notes[1]
    assert "stripped" in valid.notes[1]
    assert [example.id for example in read(archive, "train").examples] == ["peachy-11"]
    assert [example.id for example in read(archive, "test").examples] == ["sports-watch-22"]


def test_strip_source_false_leaves_all_and_says_so(archive: Path) -> None:
    valid = read(archive, strip=False)
    texts = {example.id: example.texts[0] for example in valid.examples}
    assert texts["sports-watch-21"].startswith("【Sports Watch】監督が語る 昨日の試合で、Sports Watchは監督に聞いた。")
    assert texts["sports-watch-21"].endswith("■関連リンク ・試合の写真")
    assert valid.source.endswith("valid, with site names")
    assert "with site names" in valid.notes[1]
    assert valid.checksum != read(archive).checksum


def test_texts_are_cut_after_stripping(archive: Path) -> None:
    texts = {example.id: example.texts[0] for example in read(archive, gold_chars=8).examples}
    assert texts == {"peachy-12": "秋の色 深い色が", "sports-watch-21": "監督が語る 昨日"}
    assert max(len(example.texts[0]) for example in read(archive, gold_chars=None).examples) > 25


@pytest.mark.parametrize("source", ["files", "sample"])
def test_other_sources_are_cut_the_same_but_not_stripped(tmp_path: Path, source: str) -> None:
    task = load_task("news")
    task.gold_chars = 12
    path = tmp_path / "mine.csv"
    path.write_text("text,label\n  【Peachy】春の色がはやる,peachy\n短い文,peachy\n", encoding="utf-8")
    split = read_eval(task, Data(source=source, eval_file=str(path)))
    assert split is not None
    assert all(0 < len(example.texts[0]) <= 12 for example in split.examples)
    if source == "files":
        assert [example.texts[0] for example in split.examples] == ["【Peachy】春の色が", "短い文"]


def test_unimportant_differences_between_copies_are_accepted(archive: Path) -> None:
    before = read(archive)
    files = {f"./{name}": text.replace("\n", "\r\n") + "\r\n" for name, text in reversed(FILES.items())}
    pack(archive.parent.parent, files | {"text/peachy/peachy-99.txt": written("余り", "別の文。"), "text/._x.txt": "x"})
    assert read(archive) == before


def test_an_archive_without_an_article_is_refused(archive: Path) -> None:
    pack(archive.parent.parent, {name: text for name, text in FILES.items() if "peachy-1" not in name})
    with pytest.raises(DataError, match=r"2 of 4 articles are missing \(first: peachy-11\)") as caught:
        read(archive, "test")
    assert str(archive) in str(caught.value)


def test_an_archive_with_other_texts_is_refused(archive: Path) -> None:
    pack(archive.parent.parent, FILES | {"text/peachy/peachy-11.txt": written("春の色", "淡い色がはやっていました。")})
    with pytest.raises(DataError, match="articles have other texts") as caught:
        read(archive, "test")
    assert str(archive) in str(caught.value)


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3, 0.6, 0.9])
def test_a_truncated_archive_is_refused(archive: Path, kept: float) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"not a whole tar\.gz archive|articles are missing") as caught:
        read(archive)
    assert str(archive) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("text/peachy/peachy-11.txt", "http://news.example.org/1/\n", "peachy-11: an article is address, date, title and body"),
        ("text/peachy/peachy-11.txt", written("春の色", "\udcff"), "can't be read"),
    ],
)
def test_an_article_that_cannot_be_read_is_named(archive: Path, name: str, text: str, part: str) -> None:
    pack(archive.parent.parent, FILES | {name: text})
    with pytest.raises(DataError) as caught:
        read(archive)
    assert str(archive) in str(caught.value)
    assert part in str(caught.value)


def test_no_archive_at_all(archive: Path) -> None:
    archive.write_bytes(b"<html>Not found</html>")
    with pytest.raises(DataError, match=r"not a whole tar\.gz archive; it breaks off at its beginning"):
        read(archive)
    archive.unlink()
    with pytest.raises(DataError, match=rf"{archive} does not exist"):
        read(archive)


def test_a_split_or_an_archive_that_there_is_not(archive: Path) -> None:
    task = load_task("news")
    task.published.splits["vlaid"] = task.published.splits["valid"]
    data = Data(source="published", mirror=str(archive.parent.parent))
    with pytest.raises(DataError, match=r"no part 'vlaid' \(did you mean 'valid'\?\)"):
        read_eval(task, data, "vlaid")
    task.published.splits["valid"].archive = "livedor"
    with pytest.raises(ConfigError, match="archive='livedor' is not known"):
        read_eval(task, data, "valid")


@pytest.mark.parametrize(
    ("title", "stripped"),
    [
        ("【Sports Watch】監督が語る", "監督が語る"),
        ("便利な小技【知っ得！虎の巻】", "便利な小技"),
        ("【話題】【写真】新しい機種【デジ通】", "新しい機種"),
        ("帰りが遅い - 辛口説教部屋 vol.36", "帰りが遅い"),
        ("結婚と私 Presented by ゆるっとcafe", "結婚と私"),
        ("Peachyの春", "の春"),
        ("「MOVIE ENTER」が選ぶ映画", "が選ぶ映画"),
        ("独女の休日", "独女の休日"),
        ("Cosmax社の新製品", "Cosmax社の新製品"),
        ("【韓国】の声が【日本】へ", "の声が【日本】へ"),
    ],
)
def test_titles_are_stripped(title: str, stripped: str) -> None:
    assert strip_title(title) == stripped


NAMES = ["独女通信", "ITライフハック", "家電チャンネル", "家電ch", "livedoor HOMME", "livedoorHOMME", "MOVIE ENTER", "ムービーエンター"]
NAMES += [
    "Peachy",
    "PEACHY",
    "S-MAX",
    "smax",
    "エスマックス（S-MAX）",
    "Sports Watch",
    "トピックニュース",
    "livedoor ニュース",
    "digi2（デジ通）",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_sites_name_is_stripped(name: str) -> None:
    assert strip_body([f"今日の{name}は雨の話。"]) == "今日のは雨の話。"
    assert strip_title(f"雨の話「{name}」") == "雨の話"


BELOW = [["■関連記事", "・雨の話", "普通の行。"], ["【関連情報】", "雨の話"], ["【MOVIE ENTERおすすめ記事】", "・雨"], ["クチコミを見る"]]
BELOW += [
    ["記事執筆：山田", "", "■関連リンク", "・雨"],
    ["■雨の記事をもっと見る", "・雨"],
    ["・雨の写真", "http://example.org/a", "", " 1 2 3"],
]
BELOW += [["（文：山田太郎）"], ["（山田太郎）", "■雨"], ["Written by Yamada"], ["livedoor求人・転職", "求人です。"]]


@pytest.mark.parametrize("below", BELOW)
def test_what_stands_below_an_article_is_stripped(below: list[str]) -> None:
    assert strip_body(["雨が降る。", "", "風が吹く。", *below]) == "雨が降る。 風が吹く。"


def test_headings_addresses_and_credits_within_are_stripped() -> None:
    body = [
        "■雨の話",
        "雨は http://example.org/a?b=1 と a.b@example.org と www.example.org にある。（取材・文：山田 太郎）",
        "風（北風）が吹く。",
    ]
    assert strip_body(body) == "雨は と と にある。 風（北風）が吹く。"


def test_a_text_is_never_empty() -> None:
    article = Article("a-1", "a", "【Sports Watch】", ("■関連記事",), "")
    assert article_text(article, strip=True) == "【Sports Watch】"


def article(number: int, title: str, body: str = "", category: str = "a") -> Article:
    return Article(
        f"{category}-{number:04}",
        category,
        title,
        (body or f"{number}番の話、" + "".join(chr(0x4E00 + 37 * number + i) for i in range(80)),),
        "",
    )


def grouped(articles: Sequence[Article]) -> list[list[int]]:
    groups = livedoor_split.group_articles(articles)
    return sorted(sorted(int(one.id[-4:]) for one in group) for group in groups if len(group) > 1)


def test_series_and_near_duplicates_belong_together() -> None:
    lead = "この連載では、長く使われてきた道具を毎回ひとつずつ取り上げて、その良さと手入れの方法をくわしくお伝えしていきます。"
    text = "".join(chr(0x5000 + 11 * i) for i in range(300))
    articles = [
        article(1, "包丁", lead + "包丁の話。"), article(2, "やかんとなべと", lead + "やかんの話。"),
        article(3, "【雨の日】傘"), article(4, "【雨の日】靴"),
        article(5, "道の駅めぐり vol.1 山"), article(6, "海へ行く　道の駅めぐり vol.2"),
        article(7, "山の暮らし 第2回：水"), article(8, "「火」 山の暮らし（3）"),
        article(9, "東京の喫茶店をめぐる旅の記録 1"), article(10, "東京の喫茶店をめぐる旅の記録 12"),
        article(11, "新しい駅", text), article(12, "駅が新しい", "昨日、" + text + "と伝えた。"),
        article(13, "何の関係もない"), article(14, "これもほかとは違う"),
    ]  # fmt: skip
    assert grouped(articles) == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12]]


def test_a_column_of_the_site_is_no_series_but_a_shared_lead_always_binds() -> None:
    many = livedoor_split.MAX_SERIES + 1
    assert grouped([article(number, f"{chr(0x6000 + 50 * number)}【話題】") for number in range(many)]) == []
    assert [len(group) for group in grouped([article(number, f"{chr(0x6000 + 50 * number)}【話題】") for number in range(many - 1)])] == [
        many - 1
    ]
    lead = "若い人の悩みは尽きないもので、今週もたくさんの相談が寄せられたので、四人の姉妹が順番に答えていくことにしました。"
    assert [len(group) for group in grouped([article(number, f"{number}の悩み", lead + str(number)) for number in range(many)])] == [many]


@given(st.lists(st.tuples(st.integers(1, 14), st.sampled_from("ab")), min_size=1, max_size=60), st.integers(0, 3), st.randoms())
def test_groups_are_assigned_whole_whatever_their_order(sizes: list[tuple[int, str]], seed: int, random: object) -> None:
    groups, number = [], 0
    for size, category in sizes:
        groups.append([article(number + one, "題", "文", category) for one in range(size)])
        number += size
    assigned = livedoor_split.assign_groups(groups, seed)
    shuffled = list(groups)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert livedoor_split.assign_groups(shuffled, seed) == assigned
    for group in groups:
        names = {assigned[one.id] for one in group}
        assert len(names) == 1
        assert len(group) <= livedoor_split.MAX_EVAL_GROUP or names == {"train"}
    in_category = Counter(one.category for group in groups for one in group)
    found = Counter((assigned[one.id], one.category) for group in groups for one in group)
    num_single = Counter(group[0].category for group in groups if len(group) == 1)
    for category, total in in_category.items():
        for name in ("valid", "test"):
            assert found[name, category] <= round(0.1 * total)
        if num_single[category] >= 2 * round(0.1 * total):
            assert found["valid", category] == found["test", category] == round(0.1 * total)


def test_another_seed_gives_another_split() -> None:
    groups = [[article(number, "題", "文")] for number in range(100)]
    assert livedoor_split.assign_groups(groups, 0) != livedoor_split.assign_groups(groups, 1)


def test_the_committed_split_is_whole_disjoint_and_stratified() -> None:
    ids = {name: livedoor.split_ids(name) for name in SPLITS}
    everything = [id_ for name in SPLITS for id_ in ids[name]]
    assert len(everything) == len(set(everything)) == 7367
    task = load_task("news")
    assert {name: task.published.splits[name].rows for name in SPLITS} == {name: len(found) for name, found in ids.items()}
    total = Counter(id_.rpartition("-")[0] for id_ in everything)
    assert sorted(total) == sorted(task.label_names)
    for name in SPLITS:
        counts = Counter(id_.rpartition("-")[0] for id_ in ids[name])
        assert counts == livedoor.read_split_file()["counts"][name]
        for category in total:
            assert abs(counts[category] / len(ids[name]) - total[category] / 7367) < 0.01
    assert [round(len(ids[name]) / 7367, 2) for name in SPLITS] == [0.8, 0.1, 0.1]


def test_the_order_of_a_split_says_nothing_of_labels() -> None:
    labels = [id_.rpartition("-")[0] for id_ in livedoor.split_ids("valid")]
    assert len(set(labels[:40])) >= 7


REAL = Data(source="published", mirror=str(MIRROR))


@needs_mirror
def test_real_splits() -> None:
    task = load_task("news")
    splits = {"train": read_train(task, REAL), "valid": read_eval(task, REAL, "valid"), "test": read_eval(task, REAL, "test")}
    texts = []
    for name, split in splits.items():
        assert split is not None
        assert Counter(example.label for example in split.examples) == livedoor.read_split_file()["counts"][name]
        assert all(example.id.startswith(f"{example.label}-") for example in split.examples)
        assert all(0 < len(example.texts[0]) <= 200 for example in split.examples)
        texts += [example.texts[0] for example in split.examples]
    joined = "\n".join(texts).lower()
    for name in [
        "sports watch",
        "エスマックス",
        "s-max",
        "itライフハック",
        "独女通信",
        "家電チャンネル",
        "movie enter",
        "livedoor",
        "http",
    ]:
        assert name not in joined


@needs_mirror
def test_real_splits_share_no_lead() -> None:
    articles = {one.id: one for one in livedoor.read_articles(MIRROR / ARCHIVE)}
    seen: dict[str, str] = {}
    for name in SPLITS:
        for id_ in livedoor.split_ids(name):
            for body in (" ".join(" ".join(articles[id_].lines).split()), strip_body(articles[id_].lines)):
                assert not body or seen.setdefault(body[:50], name) == name, id_


@needs_mirror
@pytest.mark.slow
def test_real_split_is_made_again_byte_for_byte_and_parts_no_group() -> None:
    articles = livedoor.read_articles(MIRROR / ARCHIVE)
    groups = livedoor_split.group_articles(articles)
    assigned = livedoor_split.assign_groups(groups, livedoor_split.SEED)
    found = livedoor_split.describe_split(articles, assigned, livedoor_split.SEED)
    assert livedoor_split.render(found) == livedoor.SPLIT_FILE.read_text(encoding="utf-8")
    assert json.loads(livedoor.SPLIT_FILE.read_text(encoding="utf-8")) == found
    split_of = {id_: name for name in SPLITS for id_ in livedoor.split_ids(name)}
    assert all(len({split_of[one.id] for one in group}) == 1 for group in groups)
    assert max(len(group) for group in groups) < 0.15 * min(Counter(one.category for one in articles).values())
