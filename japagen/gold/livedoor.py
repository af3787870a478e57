"""The livedoor news corpus: its archive in, rows of one split out, with what names the site stripped off.

The corpus (CC BY-ND 2.1 JP, https://www.rondhuit.com/download.html) is one tar.gz of 7,367 articles and has no official
split. Ours is in `livedoor_split.json`, as ids with a checksum over all articles; `livedoor_split` made it. The label
is the site that published an article, and most articles name it: in a title's 【column】, in the text, in links below it.
`strip_source` takes that off, so that a score says what the text is about. The archive is read as a stream.
"""

import functools
import gzip
import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.errors import DataError, nearest
from japagen.gold.formats import FileRow

SPLIT_FILE = Path(__file__).parent / "livedoor_split.json"
_MEMBER = re.compile(r"(?:\./)?text/(?P<category>[^/]+)/(?P<id>(?P=category)-\d+)\.txt")


@dataclass(frozen=True)
class Article:
    """One article as the archive has it."""

    id: str
    """`<category>-<number>`."""
    category: str
    title: str
    lines: tuple[str, ...]
    """The body."""
    sha256: str
    """Checksum of an article's non-blank lines, ends stripped: line endings and blank lines may differ between copies of the corpus."""


def read_articles(path: Path) -> list[Article]:
    """All articles of the archive, by id. Raises DataError, naming the file, where it isn't the corpus or breaks off."""
    articles: list[Article] = []
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                match = _MEMBER.fullmatch(member.name)
                opened = archive.extractfile(member) if match and member.isfile() else None
                if match and opened:
                    articles.append(_article(match["id"], match["category"], opened.read().decode("utf-8-sig")))
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        num_read = f"after {len(articles)} articles" if articles else "at its beginning"
        raise DataError(
            f"{path}: not a whole tar.gz archive; it breaks off {num_read} ({type(error).__name__}: {error}); get it anew"
        ) from error
    except (UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path}: the article after the first {len(articles)} can't be read ({error})") from error
    return sorted(articles, key=lambda article: article.id)


def _article(id_: str, category: str, text: str) -> Article:
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) < 3 or not lines[2]:
        raise ValueError(f"{id_}: an article is address, date, title and body, one under the other")
    content = "\n".join(line for line in lines if line)
    return Article(id_, category, lines[2], tuple(lines[3:]), hashlib.sha256(content.encode()).hexdigest())


def checksum(articles: Sequence[Article]) -> str:
    """sha256 over ids and texts of `articles`, in the ids' order."""
    lines = sorted(f"{article.id} {article.sha256}\n" for article in articles)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@functools.cache
def read_split_file() -> dict[str, Any]:
    """What `livedoor_split` wrote: seed, rules, counts, the articles' checksum, and split -> category -> numbers."""
    found: dict[str, Any] = json.loads(SPLIT_FILE.read_text(encoding="utf-8"))
    return found


def split_ids(name: str) -> list[str]:
    """The article ids of one split, in an order that says nothing of their labels. Raises DataError for an unknown split."""
    splits = read_split_file()["ids"]
    if name not in splits:
        raise DataError(f"our split of the livedoor corpus has no part {name!r}{nearest(name, splits)}; allowed: {', '.join(splits)}")
    ids = [f"{category}-{number}" for category, numbers in splits[name].items() for number in numbers.split()]
    return sorted(ids, key=lambda id_: hashlib.sha256(id_.encode()).digest())


def read_split_rows(path: Path, name: str, strip: bool) -> tuple[list[FileRow], tuple[str, ...]]:
    """The rows (`id`, `text`, `label`) of split `name`, and notes on it; `strip`: without what names the site.

    Raises DataError where the archive lacks an article of any split or one has another text than the split was made of.
    """
    articles = {article.id: article for article in read_articles(path)}
    known = [id_ for split in read_split_file()["ids"] for id_ in split_ids(split)]
    missing = sorted(set(known) - set(articles))
    if missing:
        raise DataError(f"{path}: {len(missing)} of {len(known)} articles are missing (first: {missing[0]}); get the whole corpus anew")
    if checksum([articles[id_] for id_ in known]) != read_split_file()["checksum"]:
        raise DataError(f"{path}: articles have other texts than the corpus that the split was made of (sha256); get it anew")
    rows = [
        FileRow(path, number, {"id": id_, "text": article_text(articles[id_], strip), "label": articles[id_].category})
        for number, id_ in enumerate(split_ids(name), start=1)
    ]
    note = "site names, columns, links and footers stripped" if strip else "with site names, which give the label away"
    return rows, (f"our split, seed {read_split_file()['seed']}: stratified, no series or near duplicates across splits", note)


def article_text(article: Article, strip: bool) -> str:
    """Title, a space and body, whitespace folded; `strip`: without what names the site (a title that is nothing else stays)."""
    if not strip:
        return _fold(f"{article.title} {' '.join(article.lines)}")
    return _fold(f"{strip_title(article.title)} {strip_body(article.lines)}") or article.title


def _fold(text: str) -> str:
    return " ".join(text.split())


# What follows was found by looking: strings in over 5% of one category's articles and under 0.3% of the others', and each
# site's name. Words of the subject (独女, NTTドコモ, ネット掲示板, 映画) are no site names and stay.
_NAMES = re.compile(
    r"独女通信|IT ?ライフハック|家電 ?(?:チャンネル|ch(?![a-z]))|live ?door ?HOMME|MOVIE[ -]?[EW]NTER[!！]?|ムービー・?エンター"
    r"|(?<![a-z])Peachy(?![a-z])|ピーチィ|エスマックス|(?<![a-z])S-?MAX(?:jp)?(?![a-z])|Sports ?Watch|スポーツ・?ウォッチ"
    r"|トピックニュース|(?:live ?door|ライブドア) ?ニュース|(?<![a-z])live ?door(?![a-z])|digi2|デジ通"
    r"|知っ得(?:[！!・]?虎の巻)?(?: ?No\.? ?\d+)?|(?:Presented by ?)?ゆるっとcafe|ゼロから始めるスマートフォン",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"「[\s！!／/・]*」|『\s*』|（[\s／/・]*）|\([\s/]*\)|【[\s／/・]*】|［\s*］|\[\s*\]|〜\s*〜|“\s*”")
_ADDRESSES = re.compile(r"(?:https?://|www\.)[!-~]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII | re.IGNORECASE)
_COLUMN = re.compile(r"^\s*【[^】]{1,24}】|[−—-]?\s*【[^】]{1,24}】(?:週間ランキング)?\s*$|\s-\s[^-]{2,40}\bvol\.?\s*\d+.*$", re.IGNORECASE)
"""A title's column: 【…】 at either end, or ` - NAME vol.3`."""
_CREDIT = re.compile(
    r"[（(＜][^（()）＜＞。]{0,16}(?:取材|文|撮影|構成|イラスト|著|提供元?)\s*[：:／/・＝=][^（()）。]{1,40}[)）＞]|＜Photo＞.*$"
)
_LAST_CREDIT = re.compile(r"(?<=[。！？!?…」♪])\s*[（(][^（()）。]{2,40}[)）]$")
_FOOTER = re.compile(
    r"[\W_]*(?:MOVIE [EW]NTER|ムービーエンター)?\s*(?:関連|おすすめ|オススメ|スター・ウォーズ関連)(?:恐怖)?"
    r"(?:記事|リンク|サイト|情報|ニュース|特集|URL|コンテンツ)\W*"
    r"|[■◆●].*(?:記事を(?:もっと|読む|見る)|プロフィール\W*$).*|記事執筆[：:].*|Copyright\b.*|販売元[：:].*|クチコミを見る|(?:編集部|制作編集)[：:].*"
    r"|live ?door ?(?:求人・転職|ハイクラス転職).*|digi2は.*|[（(]情報提供元.*|Written by.*|(?:取材|文|撮影)[：:／].*",
    re.IGNORECASE,
)
"""A whole line that begins an article's footer: it and all lines after it are removed."""
_LAST_LINE = re.compile(r"[■・※●→].*|[\d\s]+|[（(＜][^（()）]*[)）＞].{0,60}|https?://.*|次ページ.*")
"""Lines that are no text at an article's end: links, notes, page numbers, writers."""


def strip_title(title: str) -> str:
    """The title without its column's and the site's name."""
    before = ""
    while before != title:
        before, title = title, _COLUMN.sub("", title).strip()
    return _strip_names(title)


def strip_body(lines: Sequence[str]) -> str:
    """The body without headings of the form ■…, site names, addresses, writers' names and footer; one line."""
    kept = list(_lines_above_footer(lines))
    while kept and _LAST_LINE.fullmatch(kept[-1]):
        kept.pop()
    text = _fold(" ".join(_CREDIT.sub("", line) for line in kept if not line.startswith("■")))
    return _strip_names(_LAST_CREDIT.sub("", text))


def _lines_above_footer(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if _FOOTER.fullmatch(line):
            return
        if line:
            yield line


def _strip_names(text: str) -> str:
    text = _NAMES.sub("", _ADDRESSES.sub("", text))
    before = ""
    while before != text:
        before, text = text, _EMPTY.sub("", text)
    return _fold(text)
