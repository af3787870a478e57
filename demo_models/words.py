"""The grammar's vocabulary: who, what, where, how, with hypernyms and opposites that give a pair its relation."""

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Noun:
    """A subject; the hypernym follows from it, the opposite can't be said of the same thing."""

    word: str
    hypernym: str
    opposite: str
    counter: str = ""
    """Empty: the kind's own."""


@dataclass(frozen=True)
class Action:
    """What the subject does, in the te-form; `general` follows from it, `opposite` excludes it."""

    te: str
    general: str
    opposite: str
    places: tuple[str, ...]
    """Classes of places (keys of PLACES_BY_CLASS) where it happens."""
    particle: str = "で"


@dataclass(frozen=True)
class Place:
    """Where it happens; `opposite` excludes it ('' where nothing does)."""

    word: str
    opposite: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of picture: nouns, actions and modifiers that go together."""

    nouns: tuple[Noun, ...]
    actions: tuple[Action, ...]
    modifiers: dict[str, str]
    """Modifier -> one that excludes it, or ''."""
    counter: str

    def counter_of(self, noun: Noun) -> str:
        return noun.counter or self.counter


NUMERALS = ("", "一", "二", "三")
ENDINGS = ("います。", "いる。", "いる様子です。", "いるところです。")

PLACES_BY_CLASS: dict[str, tuple[Place, ...]] = {
    "out": tuple(Place(word, "部屋の中") for word in ("公園", "広場", "川辺", "庭", "校庭", "芝生の上", "木の下", "橋の上")),
    "street": tuple(Place(word, "部屋の中") for word in ("道路", "街中", "交差点", "駅前", "歩道", "商店街", "橋の上", "建物の前")),
    "field": tuple(Place(word, "海の中") for word in ("草原", "牧場", "草むら", "動物園", "木のそば", "柵の中")),
    "home": tuple(Place(word, "公園") for word in ("部屋", "台所", "リビング", "ソファーの上", "窓際", "ベッドの上")),
    "eat": tuple(Place(word, "道路") for word in ("レストラン", "台所", "カフェ", "食堂", "店の中")),
    "snow": tuple(Place(word, "海") for word in ("雪山", "ゲレンデ", "雪の上", "斜面")),
    "sea": tuple(Place(word, "山の上") for word in ("海", "海辺", "波の上")),
    "court": tuple(Place(word, "部屋の中") for word in ("グラウンド", "コート", "競技場", "広場")),
    "sky": tuple(Place(word, "滑走路") for word in ("青空", "雲の上", "街の上空", "山の上空")),
    "runway": tuple(Place(word, "空") for word in ("滑走路", "空港", "飛行場")),
    "rail": tuple(Place(word, "道路") for word in ("線路", "駅", "鉄橋", "ホーム")),
    "table": tuple(Place(word, "床の上") for word in ("テーブルの上", "皿の上", "机の上", "まな板の上", "トレーの上")),
    "room": tuple(Place(word, "屋外") for word in ("部屋", "リビング", "壁際", "窓際", "部屋の隅", "棚の横")),
}


def rows(table: str) -> list[list[str]]:
    """Rows parted by semicolons or line ends, cells by spaces; '-' is an empty cell."""
    found = [row.split() for line in table.splitlines() for row in line.split(";")]
    return [["" if cell == "-" else cell for cell in row] for row in found if row]


@cache
def whole_word(text: str) -> re.Pattern[str]:
    """Matches `text` where it is no part of a longer run of kanji, of katakana or of digits: 車, but not in 消防車."""
    before = next((f"(?<!{script})" for script in _SCRIPTS if re.match(script, text[0])), "")
    after = next((f"(?!{script})" for script in _SCRIPTS if re.match(script, text[-1])), "")
    return re.compile(before + re.escape(text) + after)


_SCRIPTS = ("[一-龯々]", "[ァ-ヶー]", "[0-9０-９]")


def _nouns(table: str) -> tuple[Noun, ...]:
    """Rows of word, hypernym, opposite and, where it is not the kind's own, counter."""
    return tuple(Noun(*row) for row in rows(table))


def _actions(places: str, particle: str, table: str) -> tuple[Action, ...]:
    """Rows of action, general, opposite, all of which happen at the same classes of places."""
    return tuple(Action(te, general, opposite, tuple(places.split()), particle) for te, general, opposite in rows(table))


def _pairs(table: str) -> dict[str, str]:
    """Rows of two words."""
    return {row[0]: row[1] for row in rows(table)}


PEOPLE = Kind(
    nouns=_nouns("""
        男性 人 女性; 女性 人 男性; 男の子 子供 女の子; 女の子 子供 男の子; 少年 子供 少女; 少女 子供 少年
        子供 人 大人; 老人 人 若者; 若者 人 老人; 男性 人 女性; 女性 人 男性
    """),
    actions=(
        *_actions(
            "out street",
            "で",
            """
            犬の散歩をして 散歩をして 座って; 自転車に乗って 乗り物に乗って 歩いて
            バイクに乗って 乗り物に乗って 歩いて; ベンチに座って 座って 走って; 傘をさして歩いて 歩いて 座って
            写真を撮って カメラを使って 眠って; 携帯電話で話して 電話を使って 眠って; 荷物を運んで 働いて 眠って
        """,
        ),
        *_actions(
            "out",
            "で",
            """
            凧を揚げて 遊んで 眠って; フリスビーを投げて 遊んで 座って; 芝生に寝転んで 横になって 走って
            馬に乗って 動物に乗って 歩いて; 花に水をやって 水を使って 眠って
        """,
        ),
        *_actions(
            "court",
            "で",
            """
            サッカーをして スポーツをして 座って; 野球をして スポーツをして 座って
            テニスをして スポーツをして 眠って; バットを振って スポーツをして 座って
            スケートボードをして スポーツをして 座って; ボールを投げて ボールを使って 眠って
        """,
        ),
        *_actions(
            "snow",
            "で",
            """
            スキーをして スポーツをして 座って; スノーボードをして スポーツをして 座って
            雪遊びをして 遊んで 眠って
        """,
        ),
        *_actions(
            "sea",
            "で",
            """
            サーフィンをして スポーツをして 眠って; 泳いで 水に入って 眠って
            ボートに乗って 乗り物に乗って 泳いで
        """,
        ),
        *_actions(
            "eat",
            "で",
            """
            ピザを食べて 食事をして 料理をして; ケーキを食べて 食事をして 掃除をして
            サンドイッチを食べて 食事をして 眠って; コーヒーを飲んで 飲み物を飲んで 料理をして
            ワインを飲んで 飲み物を飲んで 眠って; 料理を作って 料理をして 眠って; 野菜を切って 料理をして 眠って
        """,
        ),
        *_actions(
            "home",
            "で",
            """
            テレビを見て くつろいで 料理をして; 本を読んで 読書をして 眠って; ゲームをして 遊んで 眠って
            パソコンを使って 機械を使って 眠って; ぐっすり眠って 眠って 踊って
            猫を抱いて 動物を抱いて 料理をして; 歯を磨いて 身支度をして 眠って
            ギターを弾いて 楽器を弾いて 眠って
        """,
        ),
    ),
    modifiers=_pairs("""
        赤い服を着た 青い服を着た; 青い服を着た 赤い服を着た; 白い服を着た 黒い服を着た
        黒い服を着た 白い服を着た; 黄色い帽子をかぶった 緑の帽子をかぶった
        緑の帽子をかぶった 黄色い帽子をかぶった; 眼鏡をかけた 眼鏡をかけていない; 髪の長い 髪の短い
        髪の短い 髪の長い; リュックを背負った 手ぶらの
    """),
    counter="人",
)

ANIMALS = Kind(
    nouns=_nouns("""
        犬 動物 猫 匹; 馬 動物 牛; 牛 動物 馬; 羊 動物 馬; 象 動物 キリン; キリン 動物 象; シマウマ 動物 牛
        熊 動物 象; 山羊 動物 羊
    """),
    actions=(
        *_actions(
            "field out",
            "で",
            """
            草を食べて 食事をして 眠って; 水を飲んで 飲み物を飲んで 眠って; 歩いて 動いて 寝そべって
            走って 動いて 眠って; 寝そべって 休んで 走って; こちらを見て カメラの方を見て 背中を向けて
            遊んで 動いて 眠って; じっと立って 立って 走って
        """,
        ),
    ),
    modifiers=_pairs("""
        白い 黒い; 黒い 白い; 茶色い 真っ白な; 大きな 小さな; 小さな 大きな; 年老いた 若い; 若い 年老いた
    """),
    counter="頭",
)

PETS = Kind(
    nouns=_nouns("""
        犬 動物 猫; 猫 動物 犬; 子犬 犬 子猫; 子猫 猫 子犬; 三毛猫 猫 黒猫; 黒猫 猫 三毛猫; 柴犬 犬 猫
        小鳥 鳥 犬 羽
    """),
    actions=(
        *_actions(
            "home",
            "で",
            """
            丸くなって眠って 眠って 走って; 餌を食べて 食事をして 眠って; 外を眺めて 外を見て 眠って
            くつろいで 休んで 走って; おもちゃで遊んで 遊んで 眠って; 水を飲んで 飲み物を飲んで 眠って
        """,
        ),
        *_actions(
            "out",
            "で",
            """
            走り回って 動いて 眠って; ボールを追いかけて 遊んで 座って; 日なたぼっこをして 休んで 走って
        """,
        ),
    ),
    modifiers=_pairs("""
        白い 茶色い; 茶色い 白い; 大きな 小さな; 小さな 大きな; 首輪をつけた 首輪のない
        服を着せられた 服を着ていない
    """),
    counter="匹",
)

VEHICLES = Kind(
    nouns=_nouns("""
        バス 乗り物 トラック; トラック 乗り物 バス; 車 乗り物 自転車; 自転車 乗り物 車; バイク 乗り物 トラック
        タクシー 車 バイク; 二階建てバス バス バイク; 消防車 車 バイク
    """),
    actions=(
        *_actions(
            "street",
            "で",
            """
            走って 動いて 止まって; 坂を上って 動いて 止まって; 角を曲がって 動いて 止まって
        """,
        ),
        *_actions(
            "street",
            "に",
            """
            止まって 停車して 走って; 並んで止まって 止まって 走って; 駐車されて 止まって 走って
        """,
        ),
    ),
    modifiers=_pairs("""
        赤い 青い; 青い 赤い; 白い 黒い; 黒い 白い; 黄色い 緑の; 緑の 黄色い; 大きな 小さな; 古い 新しい
        新しい 古い
    """),
    counter="台",
)

AIRCRAFT = Kind(
    nouns=_nouns("""
        飛行機 乗り物 ヘリコプター; ヘリコプター 乗り物 飛行機; 旅客機 飛行機 戦闘機; 戦闘機 飛行機 旅客機
    """),
    actions=(
        *_actions(
            "sky",
            "を",
            """
            飛んで 進んで 止まって; 旋回して 飛んで 止まって
        """,
        ),
        *_actions(
            "runway",
            "に",
            """
            止まって 停止して 飛んで; 並んで止まって 止まって 飛んで
        """,
        ),
    ),
    modifiers=_pairs("""
        白い 黒い; 銀色の 赤い; 赤い 銀色の; 大きな 小さな; 小さな 大きな; プロペラのついた -
    """),
    counter="機",
)

TRAINS = Kind(
    nouns=_nouns("""
        電車 乗り物 バス; 列車 乗り物 バス; 機関車 列車 バス; 貨物列車 列車 バス
    """),
    actions=(
        *_actions(
            "rail",
            "で",
            """
            走って 動いて 止まって; 煙を上げて走って 走って 止まって; 客を乗せて走って 走って 止まって
        """,
        ),
        *_actions(
            "rail",
            "に",
            """
            止まって 停車して 走って; 停車して 止まって 走って
        """,
        ),
    ),
    modifiers=_pairs("""
        赤い 青い; 青い 赤い; 白い 黒い; 黄色い 緑の; 緑の 黄色い; 長い 短い; 古い 新しい
    """),
    counter="本",
)

FOOD = Kind(
    nouns=_nouns("""
        ピザ 食べ物 ケーキ 枚; ケーキ 食べ物 ピザ; サンドイッチ 食べ物 ケーキ; ドーナツ 食べ物 ホットドッグ
        ホットドッグ 食べ物 ドーナツ; バナナ 果物 りんご 本; りんご 果物 バナナ; オレンジ 果物 バナナ
        ハンバーガー 食べ物 ピザ; ブロッコリー 野菜 にんじん; にんじん 野菜 ブロッコリー 本
    """),
    actions=(
        *_actions(
            "table",
            "に",
            """
            置かれて 見えて 片付けられて; 並べられて 置かれて 片付けられて; 盛り付けられて 置かれて 片付けられて
            切り分けられて 切られて 丸ごと残されて
        """,
        ),
    ),
    modifiers=_pairs("""
        おいしそうな まずそうな; 大きな 小さな; 小さな 大きな; 焼きたての 冷めた; 食べかけの 手つかずの
        手作りの 市販の
    """),
    counter="個",
)

ROOMS = Kind(
    nouns=_nouns("""
        ソファー 家具 ベッド; ベッド 家具 ソファー; 椅子 家具 机 脚; 机 家具 椅子; 本棚 家具 ベッド
        テレビ 電化製品 冷蔵庫; 冷蔵庫 電化製品 テレビ; パソコン 電化製品 冷蔵庫; 時計 物 花瓶; 花瓶 物 時計
        ランプ 照明 花瓶; ぬいぐるみ おもちゃ 花瓶
    """),
    actions=(
        *_actions(
            "room",
            "に",
            """
            置かれて 見えて 片付けられて; 並べられて 置かれて 片付けられて; 飾られて 置かれて 捨てられて
        """,
        ),
    ),
    modifiers=_pairs("""
        白い 黒い; 黒い 白い; 赤い 青い; 青い 赤い; 大きな 小さな; 小さな 大きな; 木製の 金属製の; 古い 新しい
        新しい 古い
    """),
    counter="台",
)

KINDS: dict[str, Kind] = {
    "people": PEOPLE, "animals": ANIMALS, "pets": PETS, "vehicles": VEHICLES, "aircraft": AIRCRAFT, "trains": TRAINS, "food": FOOD,
    "rooms": ROOMS,
}  # fmt: skip
MANNERS: dict[str, tuple[str, ...]] = {
    "people": ("楽しそうに", "真剣に", "静かに", "笑顔で", "みんなで"),
    "animals": ("のんびり", "静かに", "気持ちよさそうに"),
    "pets": ("のんびり", "楽しそうに", "気持ちよさそうに"),
    "vehicles": ("ゆっくり", "静かに"),
    "aircraft": ("静かに",),
    "trains": ("ゆっくり", "静かに"),
    "food": ("きれいに", "たくさん"),
    "rooms": ("きれいに", "整然と"),
}
SYNONYMS: tuple[tuple[str, str], ...] = tuple(
    _pairs("""
    男性 男の人; 女性 女の人; 老人 お年寄り; 犬 イヌ; 猫 ネコ; 馬 ウマ; 象 ゾウ; 車が 自動車が; 飛行機 航空機
    道路 道; 広場 広い場所; 部屋で 室内で; レストラン 飲食店; 写真を撮って 撮影して; 食べて 口にして
    止まって 停まって; 走って 駆けて; 眠って 寝て; 見て 眺めて; 置かれて 置いてあって; 椅子 イス; 一人 1人
    二人 2人; 三人 3人; 大きな 大きい; 小さな 小さい; 服を着た 服の; 公園 パーク; 子供 こども
""").items()
)
"""Word -> another way to say it, in the grammar's own sentences."""
