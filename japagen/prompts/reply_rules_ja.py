"""The rules for Japanese replies: what an assistant says around a text or in its place, beside what people write themselves.

「はい、最高でした！」, 「…ご確認ください。」 and 「すみません、接続できません。」 are texts: a refusal names what an assistant was asked for, or fills
the whole reply. Notes on a text are taken off where they can be told from it, since they tell the label.
"""

import re

from japagen.prompts.reply_rules import (
    FIRST_STRIPS,
    INNER_STRIPS,
    LAST_REFUSALS,
    MESSAGES,
    ONE_LINE,
    SEVERAL_LINES,
    WRAPPERS,
    Refuse,
    Rules,
    Strip,
    holds,
    substitute,
    without_first_line,
    without_last_line,
)
from japagen.prompts.reply_rules_en import REFUSAL_RULES

_MADE = r"(?:例文|例|文章|文|レビュー|投稿|ツイート|記事|見出し|説明文|前提|仮説|キャプション|サンプル|テキスト|回答|メッセージ)"
"""What an assistant is asked to write."""
_WRITTEN = r"(?:お届け|ご?紹介|作成|生成|ご?用意|出力|ご?提供|ご?提案|お?示|執筆)"
_PREAMBLE_LINE = (
    r"(?:(?:はい|ええ)[、。,!！]?\s*)?(?:承知(?:いた)?しました|承知です|かしこまりました|[わ分]かりました|了解(?:です|しました|いたしました)"
    r"|もちろんです|お任せください|喜んで)[^\n]{0,40}"
    rf"|(?:はい[、。]?)?(?:こちら|以下|下記|次)(?:が|は|に|の(?:とおり|通り|よう))[^\n]{{0,30}}{_MADE}[^\n]{{0,20}}(?:です|ます|ました|ましょう|であ?る|す)?[。.:：!！]*"
    rf"|(?:はい[、。]?)?(?:以下|下記)の?(?:とおり|通り)?(?:です|になります)?[。.:：]+"
    rf"|[^\n]{{0,20}}{_MADE}を[^\n]{{0,6}}?{_WRITTEN}(?:いた)?し?(?:ます|ました|ましょう|てみました|てみます)[^\n]{{0,10}}"
    rf"|[^\n]{{0,15}}(?:例文|文章|文|説明文|仮説|記事|見出し)を[^\n]{{0,6}}書(?:きます|きました|いてみました|いてみます)[^\n]{{0,10}}"
    r"|(?:sure|certainly|of course|okay|ok|here(?:'s| is| are))\b[^\n]{0,80}"
)
_OFFER_LINE = (
    r"^(?:また、|もし|もしも)?(?:他|ほか)(?:の|に|にも)[^\n]{0,30}(?:作成|作り|書き|生成|ご希望|ご要望|お知らせ|必要|ござい|あれば|可能)"
    r"|(?:ご希望|ご要望|ご質問|ご不明な点|修正|変更|追加)[^\n]{0,20}(?:ございました|あれば|ありました|でした|お知らせ|お申し付け|可能です)"
    r"|^(?:こちらで|これで|このような?(?:文|文章|内容|レビュー|投稿|記事)で)?(?:いかが|よろしい)でしょうか[。？?！!]*$"
    r"|(?:作成|生成|書き直|修正)(?:し|いたし)?(?:ましょうか|ますか|ました[。！!]?$)"
    r"|\blet me know\b|\bi hope this\b|^(?:これ|この文|以上)(?:が|で)[^\n]{0,20}(?:となります|になります|例です)[。！]?$"
)
_NOTE = (
    r"(?:注(?:意|釈|記)?|解説|説明|文字数|字数|ラベル|分類|感情|判定|翻訳|英訳|読み方?|note|explanation|reason(?:ing)?|translation"
    r"|characters?(?: count)?|length|label|sentiment|category)"
)
_NOTE_OF_A_SENTENCE = (
    r"(?:理由|補足|ポイント|根拠|正しくは|正しい(?:文|形|表現)|正解|正|誤り(?:の(?:箇所|部分|説明|理由))?|誤|訂正|修正(?:後|例|版|文)?|類似度|関係|備考|評価|why)"
)
_ABOUT = r"(?:この|上記の|上の|以上の)(?:文章?|仮説|前提|例文?|文[12１２]|説明文|レビュー|投稿|記事|見出し|ツイート)"
_SAYS = r"(?:誤|正し|関係|類似|肯定|否定|表現|表して|示して|伝え|意識|含[んま]|満た|文字|文法|容認|不自然|成り立|前提|仮説|条件|指定|基づ|分類|ラベル|例です)"
_MARKS_ERRORS = r"(?:文字|\d字|[０-９]字|誤[りっ]|正し[いくけ]|非文|活用|助詞|助動詞|語順|呼応|文法|理由|解説|説明|類似度|不自然|前提|仮説|含意|矛盾|中立|※|注[:：])"
_CORRECTED = r"(?:正しくは|正しい(?:文|形|表現)?は?|正[:：]|訂正|修正|誤り|誤[:：]|「[^」\n]*」(?:が正しい|の誤り|とすべき|にすべき))"
_LATIN_ONLY = r"[^\u3041-\u30ff\u3400-\u9fff\uff66-\uff9f\n]"

_CORE = r"(?:(?<![注論英天原作短長和漢序成])文章?|説明文|レビュー|投稿|ツイート|(?<!関連)記事|見出し|仮説|前提|キャプション|メッセージ|問い合わせ)"
_BARE = r"(?:例文?|回答例?|解答|出力|本文|タイトル|題名|口コミ|クチコミ|感想|サンプル|テキスト|生成結果|リード文?|書き出し|つぶやき|作例|文例)"
_LATIN_HEADING = (
    r"(?:(?:output|caption|sentence|text|premise|hypothesis|review|answer|tweet|headline|title|body|article|example|assistant|response|post"
    r"|japanese)(?: ?\d)?)"
)
_NUMBER = r"[ 　]?(?:\d{1,2}|[１-９一二三①-⑨])?(?:[ 　]?[(（][^()（）\n]{1,12}[)）])?"
_HEADING = rf"(?:[^\s。、，,！!？?：:「」『』【】()（）\n]{{0,13}}{_CORE}|{_BARE}|{_LATIN_HEADING}){_NUMBER}"
_BRACKETED = r"(?:見出し|タイトル|本文|リード|書き出し|仮説|前提|例文?|文章?|文[12１２]|説明文|出力|回答|テキスト|キャプション)"
_HEADED = rf"(?:{_HEADING}[ 　]*[:：]|[【［\[〈《]{_BRACKETED}[】］\]〉》][ 　]*[:：]?|(?:{_CORE}|{_BARE})[12１２]?[ 　]*\n)\s*"
_VERDICT = r"(?:誤文?|誤り|誤用|誤例|非文|正文?|正例|NG例?|OK例?|不適格|悪い例|良い例|×|✕|○|◯)"
_ASSISTANT_WORK = (
    r"(?:作成|生成|書く|書き|提供|お?応え|お?答え|回答|出力|執筆|お?手伝い|作る|対応|記述|説明)[^\n。]{0,10}"
    r"(?:できません|できかね|できない状|いたしかね|致しかね|しかねます|わけには|控えさせ|差し控え|ありません)"
)
_ORDERED = (
    r"(?:例文|文章|文|レビュー|投稿|記事|見出し|コンテンツ|内容|説明文|仮説|テキスト|ご要望|ご依頼|リクエスト|ご?要求|依頼|回答|情報|ご質問|画像|写真|タスク)"
)
_SORRY = r"(?:大変|誠に)?(?:申し訳(?:あり|ござい)ません|申し訳ない(?:です)?が|すみません|すいません|恐れ入ります|恐縮です|ごめんなさい|残念ながら)"

JAPANESE = Rules(
    language="ja",
    version=1,
    outer=(
        *FIRST_STRIPS,
        *WRAPPERS,
        Strip(
            "line before the text",
            without_first_line(_PREAMBLE_LINE, re.I),
            ("はい、承知しました。\n犬が走る。", "犬が走る。"),
        ),
        Strip(
            "word before the text",
            substitute(r"\A(?:sure|certainly|of course|okay|ok)(?: thing)?\s*[!！,.:]\s*(?=[\u3041-\u30ff\u4e00-\u9fff「『])", flags=re.I),
            ("Sure! 犬が走る。", "犬が走る。"),
        ),
        Strip(
            "note behind the text",
            substitute(
                rf"\n\s*[*_]*[(（【\[]?{_NOTE}[)）】\]]?[*_]*[ 　]*[:：][\s\S]*\Z|\n\s*{_ABOUT}(?:は|では|が|で)[^\n]{{0,60}}{_SAYS}[\s\S]*\Z"
                r"|\s*[(（\[【](?:約|全|計)?[ 　]?[\d０-９]{1,4}[ 　]?(?:文字|字)(?:以内|程度)?[)）\]】]\Z|\s*[(（](?:注|注意|解説|文字数)[:：][^()（）\n]*[)）]\Z"
                r"|\n\s*[(（]?[\d０-９]{1,4}[ 　]?文?字[)）]?\Z",
                flags=re.I,
            ),
            ("犬が走る。（5文字）", "犬が走る。"),
        ),
        Strip(
            "note on the sentence",
            substitute(
                rf"\n\s*[*_]*[(（【\[]?{_NOTE_OF_A_SENTENCE}[)）】\]]?[*_]*[ 　]*(?:[:：]|(?<=正しくは)、?)[\s\S]*\Z|\n\s*(?:[→⇒➡※←]|[(（][^()（）\n]*[)）]\Z)[\s\S]*\Z"
                rf"|\s*[(（\[【][^()（）\[\]\n]{{0,40}}{_MARKS_ERRORS}[^()（）\[\]\n]{{0,40}}[)）\]】][。.]?\Z"
                rf"|\s*[(（]?[→⇒➡←][ 　]*[^\n]{{0,20}}{_CORRECTED}[\s\S]*\Z|(?<=[。！!」])\s*{_CORRECTED}[「、:：][\s\S]*\Z",
                flags=re.I,
            ),
            ("太郎が本を読むた。（「読んだ」が正しい）", "太郎が本を読むた。"),
            unless=SEVERAL_LINES,
        ),
        Strip("line behind the text", without_last_line(_OFFER_LINE, re.I), ("犬が走る。\n他の例も作成しましょうか？", "犬が走る。")),
        Strip(
            "translation",
            substitute(rf"\n\s*(?=[^\n]*[A-Za-z]{{2,}}[^\n]* [A-Za-z]+){_LATIN_ONLY}+\Z|[ 　]*[(（](?=[^\n]*[A-Za-z]+ [A-Za-z]+ [A-Za-z]+){_LATIN_ONLY}+[)）]\Z"),
            ("犬が走る。\n(A dog runs in the park.)", "犬が走る。"),
            unless=SEVERAL_LINES,
        ),
    ),
    inner=(
        Strip("heading", substitute(rf"\A(?:{_HEADED})++(?=\S)", flags=re.I), ("仮説の文：犬が走る。", "犬が走る。")),
        Strip(
            "heading of a part",
            substitute(r"^[ 　]*(?:(?:見出し|タイトル|本文|リード文?|書き出し|記事本文)[ 　]*[:：]|[【［\[](?:見出し|タイトル|本文|リード文?|書き出し)[】］\]][ 　]*[:：]?)[ 　]*", flags=re.M),
            ("犬が走る\n本文：公園で犬が走った。", "犬が走る\n公園で犬が走った。"),
            unless=ONE_LINE,
        ),
        Strip(
            "verdict",
            substitute(
                rf"\A(?:[(（\[【]{_VERDICT}[)）\]】]|{_VERDICT}[ 　]*[:：]|[❌✗✘⭕✅❎☑✔✖⚠]\ufe0f?|[×✕](?=[ 　])|[*＊](?=[\u3041-\u30ff\u4e00-\u9fff「])(?![^*＊]*[*＊]))\s*"
            ),
            ("（誤）太郎が本を読むた。", "太郎が本を読むた。"),
            unless=SEVERAL_LINES,
        ),
        *INNER_STRIPS,
    ),
    refusals=(
        Refuse("AI speaks", "refusal", holds(r"(?:AI|人工知能|言語モデル)(?:アシスタント|モデル)?(?:として(?:お|の私|は|、私|回答)|なので|である(?:ため|私))|私は(?:AI|人工知能|言語モデル)"), "AIとしてお答えすることはできません。"),
        *REFUSAL_RULES,
        Refuse(
            "refusal of the order", "refusal",
            holds(rf"\A(?:{_SORRY})[^\n]{{0,60}}(?:{_ORDERED}[^\n。]{{0,40}}|それ(?:は|に)[^\n。]{{0,6}}|[そこ]の(?:よう|内容)[^\n。]{{0,20}}){_ASSISTANT_WORK}"),
            "申し訳ありませんが、その内容は作成できません。",
        ),
        Refuse(
            "refusal of an assistant", "refusal",
            holds(rf"(?:\A|[。\n])私(?:に)?は[^。\n]{{0,25}}{_ASSISTANT_WORK}|\A[^。\n]{{0,60}}(?:お手伝い|ご要望|ご依頼|リクエスト)[^。\n]{{0,15}}(?:でき(?:ません|かね)|いたしかね|致しかね)"),
            "詳しくは公式サイトをご覧ください。私は最新の情報を提供できません。",
        ),
        Refuse(
            "short refusal", "refusal",
            holds(
                rf"\A(?:{_SORRY}[^。\n]{{0,12}}[、。]?\s*)?(?:お?答え|お?応え|お?手伝い|ご?対応|作成|生成|回答|お?受け)[^。\n]{{0,8}}(?:でき(?:ません|かねます)|いたしかねます)[。.]?\Z"
            ),
            "お答えできません。", unless=MESSAGES,
        ),
        Refuse(
            "picture that is missing", "refusal",
            holds(
                rf"(?:画像|写真|前提|文[1１])(?:が|は|を)[^。\n]{{0,12}}(?:提供|添付|アップロード|共有|提示|表示|送付|入力)[^。\n]{{0,10}}(?:てい(?:ない|ません)|ておりません|てください|お願い|いただ)"
                rf"|(?:画像|写真|前提)(?:の内容)?を[^。\n]{{0,6}}(?:教えて|説明して|お知らせ|お送り)|{_SORRY}[^\n]{{0,20}}(?:画像|写真)[^\n。]{{0,15}}(?:でき|られ)ません"
            ),
            "画像が添付されていないようです。画像をアップロードしてください。", unless=MESSAGES,
        ),
        Refuse(
            "question about the order", "refusal",
            holds(rf"(?:どの(?:よう)?な|どんな|何の|どの)[^。\n]{{0,20}}(?:{_ORDERED}|もの)[^。\n]{{0,10}}(?:ご希望|お望み|ご要望|必要|書け|作成|お求め)[^。\n]{{0,10}}(?:か|でしょう)[。？?]*\Z"),
            "どのような画像の説明文をご希望ですか？", unless=MESSAGES,
        ),
        Refuse(
            "chat before the text", "preamble",
            holds(
                r"\A(?:はい[、。!！]\s*)?(?:承知(?:いた)?しました|承知です|かしこまりました|了解(?:し|いたし)ました)|\Aもちろんです[。!！]"
                rf"|\A(?:はい[、。]?)?(?:こちら|以下|下記)(?:が|は|に|の(?:とおり|通り|よう))[^\n。]{{0,20}}{_MADE}[^\n。]{{0,8}}(?:です|ます|ました)[。.:：]"
                rf"|\A(?:それでは、?|では、)(?:以下|{_MADE}を)|\A(?:sure|certainly|of course)\b|\Ahere(?:'s| is| are)\b(?=[^\n]*:)",
                re.I,
            ),
            "以下に例を示します。犬が走る。", unless=MESSAGES,
        ),
        Refuse(
            "chat behind the text", "preamble",
            holds(rf"(?<=[。！!？?\n])\s*(?:(?:こちらで|これで|このような?{_MADE}で)?いかがでしょうか|他(?:の|に)[^。\n]{{0,15}}(?:作成|ご希望)[^。\n]{{0,20}}(?:か|ください))[。？?]?\Z"),
            "犬が走る。いかがでしょうか？", unless=MESSAGES,
        ),
        Refuse(
            "sentence about the task", "about the task",
            holds(
                r"\A(?:この|その|上記の|前述の|元の|与えられた|提示された)(?:前提|仮説|例文|文|説明文)(?:の文)?(?:とは|から(?:は)?|では|は|が|に|と)"
                r"|(?:前提|仮説)(?:の文|文)?(?:が|は)[^。\n]{0,6}(?:正し|成り立|真|偽|誤り)|(?:前提|仮説)の文|(?:容認(?:できる|できない|可能|不可)|文法的に(?:正しい|誤った))文"
            ),
            "前提の文が正しければ、男性は座っている。", unless=SEVERAL_LINES,
        ),
        Refuse(
            "text about the text", "about the task",
            holds(rf"\A(?:この|上記の|以下の)(?:レビュー|投稿|記事|ツイート|文章|文)は[^。\n]{{0,25}}(?:肯定|否定的|ポジティブ|ネガティブ|事実を|意見を|表現し|分類|ラベル|カテゴリ)"),
            "このレビューは肯定的な意見を述べています。",
        ),
        Refuse(
            "correction", "about the task",
            holds(r"[→⇒➡]|正しくは[「、]"), "太郎が本を読むた。→太郎が本を読んだ。", unless=SEVERAL_LINES,
        ),
        Refuse(
            "another text", "several candidates",
            holds(r"[。！!]\s*(?:または|あるいは|もしくは)[、,:：\s]|[。！!]\s*(?:例|文)[2２②][:：]"), "犬が走る。または、猫が寝る。", unless=SEVERAL_LINES,
        ),
        Refuse(
            "blank to be filled in", "placeholder",
            holds(
                r"[\[［{｛<＜〈【][^\]］}｝>＞〉】\n]{0,10}(?:商品名|製品名|品名|名前|氏名|人名|店名|店舗名|会社名|企業名|地名|都市名|国名|数字|日付|金額|ブランド名"
                r"|サービス名|俳優名|作品名|映画名|選手名|チーム名|機種名|アプリ名|タイトル名|場所|具体的な[^\]］}｝>＞〉】\n]{1,12})[\]］}｝>＞〉】]"
                r"|(?:[○〇◯●]{2,}[\s\S]*?){3}|(?:[△▲□■×XＸ]{2,}(?:株式会社|社|県|市|氏|さん)[\s\S]*?){2}|＿{2,}|_{3,}"
            ),
            "この[商品名]は本当に素晴らしいです。",
        ),
        *LAST_REFUSALS,
    ),
    ends=("。", "」", ".", "！", "？", "!", "?"),
    label_line=(
        r"\A[「『\"“(\[*]{{0,3}}(?:{names})[」』\"”)\]*]{{0,3}}\s*(?:[:：\-]|[。.!！?？]?[」』\"”)\]*]{{0,3}}\Z)|\A[「『\"“](?:{names})[」』\"”](?:とは|は)"
        r"|\A(?:{names})(?:な|の)?(?:文章?|レビュー|投稿|記事|関係|仮説)?(?:として、|の例(?:です|として))"
        r"|[(（\[【<](?:ラベル[:：]?)?\s*(?:{names})(?:な文|の文|な?レビュー|な?投稿)?\s*[)）\]】>]|ラベル\s*[:：]"
    ),
    numbered_heading=re.compile(
        r"\s*[*#\s]*[【\[]?(?:例文?|案|候補|パターン|文例?|文章|レビュー|投稿|記事|サンプル|その)[ 　]?(?:\d{1,2}|[１-９①-⑨一二三A-DＡ-Ｄ])[】\]]?[*]*\s*(?:[:：]|\n|\Z)"
    ),
)
"""The rules for tasks in Japanese, and in any language (`language: ''`)."""
