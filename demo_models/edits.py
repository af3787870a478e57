"""Real captions edited by rules whose relation to the caption is known: one word made general, swapped, negated or added.

Rules are (old, new) words. The first sentence is a caption as it was written; the second is the caption after an edit.
"""

import random
from collections.abc import Sequence

from demo_models.words import rows, whole_word

Rules = Sequence[tuple[str, str]]


def rules(table: str) -> Rules:
    """Rows of old and new word (see `words.rows`)."""
    return tuple((row[0], row[1]) for row in rows(table))


GENERAL: Rules = rules("""
    男性 人; 女性 人; 男の子 子供; 女の子 子供; 少年 子供; 犬 動物; 猫 動物; キリン 動物; シマウマ 動物
    自転車 乗り物; バス 乗り物; 電車 乗り物; 飛行機 乗り物; ピザ 食べ物; ケーキ 食べ物; サンドイッチ 食べ物
    赤い -; 青い -; 白い -; 黒い -; 黄色い -; 大きな -; 小さな -; 一人の -; 二人の -; 一匹の -; 一頭の -
    一台の -; 二頭の -; 二匹の -; 木製の -; 木の -; 緑の -; たくさんの -
""")
"""The caption entails what comes out; the meaning stays close to the same."""

EXCLUDING: Rules = rules("""
    男性 女性; 女性 男性; 男の子 女の子; 女の子 男の子; 赤い 青い; 青い 赤い; 白い 黒い; 黒い 白い; 黄色い 緑の
    大きな 小さな; 小さな 大きな; 一人の 三人の; 二人の 一人の; 1人 3人; 2人 1人; 2匹 1匹; 一匹の 三匹の
    二匹の 一匹の; 一頭の 三頭の; 二頭の 一頭の; 犬 猫; 猫 犬; キリン シマウマ; シマウマ キリン; バス 電車
    電車 バス; 自転車 車; ピザ ケーキ; ケーキ ピザ; テニス サッカー; 野球 テニス; 座って 立って; 走って 止まって
    止まって 走って; 停まって 走って; 室内 屋外; 昼 夜; 夜 昼; 晴れた 雨の
""")
"""What comes out can't hold where the caption holds."""

NEGATED: Rules = rules("""
    ています。 ていません。; ている。 ていない。; でいます。 でいません。; があります。 はありません。
    がいます。 はいません。; います。 いません。; です。 ではありません。
""")
"""Applied to the end only."""

DETAILS: Rules = rules("""
    男性 若い男性; 男性 背の高い男性; 女性 髪の長い女性; 女性 若い女性; 犬 小さな犬; 猫 白い猫
    テーブル 木のテーブル; バス 満員のバス; 電車 満員の電車; 車 新しい車; ピザ 手作りのピザ
    ケーキ 誕生日のケーキ; 部屋 狭い部屋; 公園 近所の公園; 道路 夜の道路; 海 冬の海; キリン 若いキリン
    馬 年老いた馬; 飛行機 外国の飛行機; 時計 古い時計; 花 季節の花; 建物 有名な建物; 看板 新しい看板
    ベンチ 古いベンチ; 木 大きな木; 窓 小さな窓; 自転車 新しい自転車; 人 若い人
""")
"""The caption doesn't say whether what comes out holds."""

SAME: Rules = rules("""
    男性 男の人; 女性 女の人; 一人 1人; 二人 2人; 三人 3人; 1人 一人; 2人 二人; 一匹 1匹; 二匹 2匹; 一頭 1頭
    2頭 二頭; 飛行機 航空機; 止まって 停まって; 座って 腰かけて; 置かれています 置いてあります
    置いてあります 置かれています; 大きな 大きい; 小さな 小さい; たくさんの 多くの; 写っています 写っている
    ています。 ている。; 眺めて 見て; 食べて 口にして; があります。 がある。; 車が 自動車が; 道路 道
    子供 こども; 赤い 赤色の; 白い 白色の; ています。 ています; 黒い 黒色の; 青い 青色の; います。 いる。
""")
"""Other words for the same."""


def nli_edit(caption: str, relation: str, rng: random.Random) -> str | None:
    """A hypothesis that stands in `relation` to the caption, or None where no rule fits."""
    if relation == "entailment":
        return _apply(caption, GENERAL, rng, most=2)
    if relation == "neutral":
        return _apply(caption, DETAILS, rng)
    if rng.random() < 0.35:
        return _apply(caption, [rule for rule in NEGATED if caption.endswith(rule[0])], rng)
    return _apply(caption, EXCLUDING, rng)


def similar_edit(caption: str, level: int, rng: random.Random) -> str | None:
    """A caption whose meaning is `level` (3 to 5) close, or None where no rule fits."""
    if level == 5:
        return _apply(caption, SAME, rng, most=3)
    return _apply(caption, [*GENERAL, *DETAILS] if level == 4 else EXCLUDING, rng)


def _apply(caption: str, allowed: Rules, rng: random.Random, most: int = 1) -> str | None:
    """The caption after one to `most` of the allowed rules that fit, each at its first place."""
    fitting = [rule for rule in allowed if rule[0] in caption and whole_word(rule[0]).search(caption)]
    if not fitting:
        return None
    for old, new in rng.sample(fitting, min(len(fitting), rng.randint(1, most))):
        caption = whole_word(old).sub(new, caption, count=1)
    return caption
