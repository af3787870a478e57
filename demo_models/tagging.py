"""Which attribute value of a task a text shows (prompt=kadg), told by its words: enough for the demo LM's training chats."""

import random
import re
from collections.abc import Mapping

PICTURES = {
    "動物": "犬 猫 馬 牛 羊 象 ゾウ キリン シマウマ 熊 クマ 鳥 カモメ 動物 ネコ イヌ 山羊",
    "スポーツ": "テニス 野球 サッカー スキー スノーボード サーフィン スケートボード バット ラケット 試合 選手 フリスビー スポーツ",
    "食べ物": "ピザ ケーキ サンドイッチ 料理 野菜 果物 バナナ リンゴ 食べ物 ドーナツ パン サラダ 肉 スープ ホットドッグ オレンジ",
    "乗り物": "バス 電車 列車 飛行機 バイク 自転車 トラック 車 船 ボート ヘリコプター 機関車 タクシー",
    "台所や食器": "台所 キッチン 冷蔵庫 オーブン 皿 コップ グラス フォーク ナイフ 電子レンジ シンク コンロ 鍋 カップ",
    "家具や部屋": "部屋 ソファ ベッド 椅子 机 テーブル リビング 洗面 トイレ テレビ パソコン 棚 本 窓 バスルーム 便器 ぬいぐるみ",
    "街や建物": "街 建物 信号 時計 看板 標識 道路 交差点 駅 ビル 消火栓 歩道 ベンチ 橋 教会 塔",
    "自然の風景": "海 山 川 空 森 湖 草原 木 花 雪 波 砂浜 夕日 丘 凧",
    "人": "人 男性 女性 子供 男の子 女の子 少年 少女 子ども 大人 老人 男 女",
}
"""Value of jsts' and jnli's `picture` -> words; the first value that fits counts."""

GRAMMAR = {
    "代名詞や「自分」": "自分 自身 お互い 彼女 彼 それ これ あれ そこ",
    "敬語": "いらっしゃ ございま お待ち くださ 申し 召し いただ 伺 なさ",
    "数や量": "一 二 三 四 五 すべて 全員 たくさん ほとんど もっと みんな",
    "否定の表現": "しか 決して ない なかった ません 誰も 何も",
    "受身や使役": "られ させ された される せた れた",
}
"""Value of jcola's `grammar` -> strings; the first value that fits counts."""

FORMS = ("助詞", "語順", "動詞の活用")
"""The other values of `grammar`: of these every sentence has something."""


def picture(text: str) -> str | None:
    """What the caption shows, or None where no word tells."""
    return _first(text, _PICTURES)


def grammar(text: str, rng: random.Random) -> str:
    """A grammatical target that the sentence has to do with: mostly the one its words tell, else one of the forms."""
    found = _first(text, _GRAMMAR)
    return found if found and rng.random() < 0.6 else rng.choice(FORMS)


def _patterns(table: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    return {value: re.compile("|".join(words.split())) for value, words in table.items()}


_PICTURES, _GRAMMAR = _patterns(PICTURES), _patterns(GRAMMAR)


def _first(text: str, patterns: Mapping[str, re.Pattern[str]]) -> str | None:
    return next((value for value, pattern in patterns.items() if pattern.search(text)), None)
