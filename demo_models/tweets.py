"""Tweets of the time of COVID-19 of our own grammar: a fact, the writer's own life, an opinion, or nothing to do with it.

The label holds by construction: facts are reports and figures without a judgement, personal ones say what happened to the writer, opinions
judge, and the unrelated ones come from tables of daily life (some with words such as 検査 or 注射 that mean something else there).
"""

import random
import re

from demo_models.reviews import cells, join, polite

LABELS = ("fact", "personal", "opinion", "unrelated")

_WORDS = {
    "pref": """
        東京都 大阪府 北海道 沖縄県 愛知県 福岡県 神奈川県 埼玉県 千葉県 京都府 兵庫県 広島県 宮城県 静岡県 長野県 岡山県 熊本県
        鹿児島県 新潟県 石川県 青森県 秋田県 岩手県 群馬県 茨城県 栃木県 岐阜県 三重県 滋賀県 奈良県 和歌山県 島根県 鳥取県 山口県
        香川県 愛媛県 高知県 徳島県 佐賀県 長崎県 大分県 宮崎県 福井県 富山県 山梨県
    """,
    "city": """
        札幌市 仙台市 横浜市 川崎市 名古屋市 神戸市 福岡市 北九州市 さいたま市 千葉市 堺市 浜松市 岡山市 熊本市 那覇市 金沢市
        新宿区 世田谷区 静岡市 相模原市
    """,
    "org": "厚労省 政府 国 専門家会議 分科会 保健所 県 市 都 自治体 感染症研究所 WHO 医師会 知事 官房長官 首相",
    "variant": "アルファ株 デルタ株 オミクロン株 BA.5 BA.2 変異株 XBB",
    "wave": "第1波 第2波 第3波 第4波 第5波 第6波 第7波 第8波",
    "measure": "緊急事態宣言 まん延防止等重点措置 まん防 時短要請 外出自粛要請 入国制限 休業要請",
    "maker": "ファイザー モデルナ アストラゼネカ ノババックス",
    "dose": "1回目 2回目 3回目 4回目 5回目",
    "age": "10代 20代 30代 40代 50代 60代 70代 80代 90代",
    "country": "アメリカ イギリス フランス ドイツ イタリア 中国 韓国 インド ブラジル ニュージーランド イスラエル 台湾",
    "place": "病院 高齢者施設 保育園 小学校 高校 大学 飲食店 会社 カラオケ店 市役所 消防署 工場 接待を伴う店 スポーツジム 寮",
    "day": "今日 本日 昨日 きのう 25日 3日 10日 17日 月曜日 金曜日 週末",
    "who": "父 母 夫 妻 兄 姉 弟 妹 息子 娘 祖母 祖父 同僚 上司 友達 隣の席の人 同居人 彼氏 彼女 後輩 取引先の人",
    "family": "父 母 夫 妻 息子 娘 祖母 祖父 弟 妹 子ども 義母",
    "event": """
        修学旅行 卒業式 運動会 文化祭 結婚式 成人式 同窓会 社員旅行 ライブ 花火大会 発表会 入学式 合宿 忘年会 歓迎会 夏祭り
        部活の大会 合唱コンクール
    """,
    "trip": "沖縄 北海道 京都 温泉 ハワイ 韓国 実家 金沢 ディズニー 台湾 箱根 九州",
    "shop": "近所の居酒屋 行きつけの喫茶店 駅前のラーメン屋 通っていたジム 好きだった定食屋 地元の映画館 商店街の本屋 学生時代のカラオケ屋",
    "team": "地元チーム うちのチーム 推しのチーム 代表チーム 母校 ひいきの球団",
    "food": """
        カレー ラーメン 餃子 唐揚げ 鍋 たこ焼き 寿司 うどん オムライス ハンバーグ 焼きそば 麻婆豆腐 チャーハン 親子丼 肉じゃが
        味噌汁 パスタ お好み焼き
    """,
    "sweet": "プリン ドーナツ アイス シュークリーム 大福 チョコ パンケーキ かき氷 クレープ ショートケーキ 焼き芋 団子",
    "pet": "うちの猫 うちの犬 実家の猫 隣の犬 飼っている文鳥 うちのハムスター 実家の柴犬 子猫 金魚",
    "game": "新作のゲーム 格闘ゲーム パズルゲーム 釣りゲーム RPG 育成ゲーム スマホのゲーム 将棋アプリ 音ゲー",
    "line": "山手線 中央線 京浜東北線 御堂筋線 東海道線 小田急線 南武線 地下鉄 始発 終電 通勤電車",
    "season": "桜 紅葉 梅 ひまわり あじさい コスモス 金木犀 藤 朝顔",
    "subject": "数学 英語 物理 世界史 古文 化学 簿記 漢字 統計 線形代数 地理 中国語",
    "drama": "朝ドラ 深夜アニメ 大河ドラマ 月曜のドラマ 刑事ドラマ 韓国ドラマ お笑い番組 クイズ番組 恋愛映画 特撮",
    "hobby": "編み物 家庭菜園 釣り キャンプ ピアノ ギター 登山 筋トレ 将棋 読書 ランニング 書道",
}  # fmt: skip

_FACTS = {
    "感染者数と流行の波": """
        {day}の{pref}の新規感染者は{cases}人 / {pref}で{day}、新たに{cases}人の感染を確認
        {pref}の新規陽性者は{cases}人で、前の週の同じ曜日より{few}人増えた
        {city}で{cases}人の感染が確認された / 全国の新たな感染者は{many}人、死者は{few}人
        {pref}の重症者は{few}人で、前日より{small}人減った / {wave}のピークは{month}月だった
        {pref}で{variant}の感染者を初めて確認 / 感染者の{rate}%が{variant}に置き換わったと{org}が発表した
        {place}でクラスターが発生し、{few}人の感染が判明した
        {pref}の累計感染者数が{many}人を超えた / {day}の死者は{small}人で、いずれも高齢者だった
        {pref}の人口10万人あたりの感染者は{few}人 / {country}の1日の感染者が{many}人になった
        {age}の感染者が全体の{rate}%を占めた / {pref}の感染者が{small}週連続で減った / {org}は{wave}に入ったとの見解を示した
        {variant}は潜伏期間がおよそ{small}日と報告されている
    """,
    "ワクチン": """
        {maker}のワクチンの{dose}接種が{city}で始まった / ワクチンの{dose}を終えた人は人口の{rate}%になった
        {pref}の大規模接種会場の予約は{day}から / {maker}製は{small}週間の間隔で2回打つ
        {org}は{age}の接種を承認した / {city}は{age}への接種券を{day}発送する / 接種後の主な副反応は腕の痛み、発熱、頭痛とされる
        {dose}接種から{small}か月で抗体の量が減るという研究が発表された
        {pref}で{dose}の接種を受けた人が{many}人を超えた / {maker}が{variant}に対応したワクチンを申請した
        {org}によると、65歳以上の{rate}%が{dose}の接種を終えた
        ワクチンは零下の温度で保管される / 職域接種の申請の受け付けが{day}から再開された / {country}では{dose}の接種が始まっている
        {pref}は予約なしで打てる会場を{small}か所に設けた
        {maker}のワクチンは発症を{rate}%防ぐと治験で示された / 接種証明書の発行が{city}で始まった / 接種は無料で、対象は5歳以上
        {org}は副反応の疑いを{few}件報告した
    """,
    "マスクや手洗い": """
        {org}は屋外ではマスクは不要との考えを示した / マスクの着用が{month}月13日から個人の判断になる
        不織布マスクは布マスクより飛沫を防ぐという実験結果が出た / 政府の布マスクの配布が{city}で始まった
        手洗いは石けんで30秒が目安とされている / アルコール消毒は濃度70%以上が有効と{org}が説明 / 三密は密閉、密集、密接を指す
        {org}は1時間に2回以上の換気を呼びかけている
        マスクの転売が法律で禁止された / {pref}の小学校では給食を黙食としている / 店頭のマスクの価格が{rate}%下がった
        {country}では公共交通機関でのマスクの義務がなくなった / ウイルスは飛沫と接触で広がる
        ドアノブなどに付いたウイルスは数日残ることがある / {org}が人との距離は2メートルが目安と発表 / {city}が施設の入口に検温器を置いた
        {org}が会食でのマスク着用を呼びかけた
    """,
    "検査と医療": """
        {pref}の病床使用率は{rate}% / {pref}のPCR検査の陽性率は{rate}%だった / {city}が無料のPCR検査場を{small}か所に設けた
        {org}は抗原検査キットの市販を認めた / 自宅療養者は{pref}で{many}人
        {pref}の重症病床は{rate}%が埋まった / 濃厚接触者の待機期間は{small}日に短縮された / {org}は飲み薬を承認した
        {pref}が宿泊療養施設を{small}棟増やした / 発熱外来は{city}で{few}か所
        新型コロナは{month}月8日に感染症法上の5類に移行した / 救急の搬送が決まらない例が{city}で{few}件あった
        主な症状は発熱、せき、のどの痛み / {day}の検査数は{many}件
        {org}が全数把握の見直しを発表した / {pref}で医療従事者{few}人の感染が判明 / 味覚や嗅覚の異常が後遺症として報告されている
        発症の{small}日前から感染させるおそれがあるとされる
        PCR検査の結果は通常1日から2日で出る / {pref}は自衛隊の看護師の派遣を要請した / 保健所の調査は重症化の恐れがある人に絞られた
    """,
    "仕事や学校": """
        {city}の小中学校は{day}から臨時休校 / {pref}は学校を{month}月から分散登校とする / {org}は全国の学校に休校を要請した
        雇用調整助成金の特例が{month}月まで延長される / {pref}の飲食店に協力金が支払われる
        持続化給付金の申請の受け付けが始まった / 休業者は{many}人と{org}が発表 / 有効求人倍率は1.0{small}倍
        {pref}の県立高校は{day}からオンライン授業 / 都内企業のテレワーク実施率は{rate}%
        {place}で感染者が出て、{day}まで閉鎖された / {city}の学級閉鎖は{few}学級 / 新型コロナ関連の倒産は{cases}件になった
        {org}は出勤者の7割削減を求めた / 大学の入学試験は追試験が設けられる
        {pref}で午後8時までの時短営業が{day}から始まる / 一律10万円の給付が閣議決定された / {city}の保育園は登園の自粛を求めている
    """,
    "外出や旅行": """
        {pref}に{measure}が出された / {measure}は{pref}など{small}都府県で{month}月末まで延長 / {measure}が{day}、{pref}で解除された
        Go Toトラベルが{day}から停止 / {pref}への旅行割引が{day}再開
        {org}は県をまたぐ移動の自粛を求めた / 入国者数の上限は1日{many}人 / {day}の渋谷の人出は前の週より{rate}%減った
        新幹線の利用は前の年の{rate}% / {city}の{event}は中止と決まった
        {country}からの入国が{day}から停止 / {country}が外国人観光客の受け入れを再開した / 空港の検疫で{small}人の感染が確認された
        {pref}の動物園が{day}から休園 / {country}で都市封鎖が始まった
        大型連休の国内線の予約は前の年の{rate}% / {event}の入場者は上限5000人とされた / 帰国後は{small}日間の待機が求められる
        {org}が{measure}の対象に{pref}を追加した / {city}の観光客数が{rate}%減少した
    """,
}

# Plain-form clauses; what happened to the writer.
_PERSONAL = {
    "感染者数と流行の波": """
        {who}が陽性になった / うちの会社から感染者が出た / {place}に勤める{who}が感染した / 家族全員コロナにかかった
        ついに自分も陽性だった / {wave}で感染した / {who}からうつった
        隣の部署で{small}人出て席を替えられた / 住んでいる{city}でクラスターが出て予定が全部飛んだ / 子どものクラスで陽性者が出た
        職場の半分が休みで残業が続いている / 発症から{small}日目でまだ熱がある
        {who}が濃厚接触者になった / 10日間の療養が終わった / 隔離生活{small}日目になった / 療養中に{small}キロ痩せた
        うちで最後まで無事なのは私だけだ / 熱が39度まで上がった / のどが痛くて水も飲めない
    """,
    "ワクチン": """
        {dose}のワクチンを打ってきた / {dose}の副反応で38度の熱が出た / 腕が上がらない / {maker}の{dose}を打った / やっと予約が取れた
        予約サイトに{small}時間つながらなかった / {family}に接種券が届いた
        接種会場で{small}分待った / 副反応で仕事を休んだ / {family}の接種に付き添った / 打った翌日は一日寝ていた
        副反応は腕の痛みだけだった / 職域接種を受けた / {dose}は見送った / 問診で血圧を測り直された
        接種の翌朝に39度あった / モデルナアームになった / 打って{small}日たっても腕がかゆい / {city}の会場まで電車で行って打った
        予約したのに接種券が見つからない / 注射が怖くて手を握ってもらった
    """,
    "マスクや手洗い": """
        マスクで肌が荒れた / 布マスクを{small}枚縫った / アベノマスクが今日届いた / 消毒のしすぎで手がひび割れた
        薬局を{small}軒回ったがマスクがなかった / マスクを忘れて家に戻った / {family}がマスクを作ってくれた
        眼鏡が曇って階段で転びかけた / 店の入口の検温で止められた / マスクのまま走って倒れそうになった
        帰宅してすぐ手洗いする癖がついた / マスクの箱を{who}がくれた / マスクで耳が痛くなった
        マスクを外したら{who}に気づかれなかった / 消毒液を玄関に置いた / {family}と家の中でもマスクで過ごしている
        マスクの跡だけ日に焼けた / 新入社員の顔をマスクなしで見たことがない / せっけんを{small}個買い足した
    """,
    "検査と医療": """
        PCR検査を受けてきた / 検査の結果は陰性だった / 抗原検査で陽性が出た / 発熱外来に{few}回電話してやっとつながった
        保健所から電話が来ない / ホテル療養が始まった / 唾液がなかなか出なくて苦労した
        {family}が入院して面会もできない / 救急車を呼んだが受け入れ先が{small}件断られた / 自宅療養の箱が届いた / 味がまったくしない
        匂いがわからなくなった / 後遺症でまだせきが出る / 血中酸素を一日{small}回測っている
        濃厚接触者に認定された / 熱があるだけで病院に断られた / 検査結果を待っている / 鼻の奥に綿棒を入れられて涙が出た
        看護師の{who}が家に帰ってこない / 手術が延期になった / {family}の立ち会い出産ができなかった
    """,
    "仕事や学校": """
        在宅勤務が{small}週目に入った / 給料が{small}割減った / バイトのシフトが全部なくなった / 内定が取り消された
        オンライン授業の初日に音が出なかった / 大学に一度も行かないまま前期が終わった / 修学旅行が中止になった
        {event}が中止になった / {event}が延期になった / 子どもの学校が休校になった / 休校で一日三食作っている
        オンライン飲み会で{small}時間話した / {place}が休みになって自宅待機だ / ボーナスが出なかった / 学級閉鎖で仕事を休んだ
        会議中に{family}が映り込んだ / うちの店は時短営業で{small}時閉店になった / 協力金がまだ入らない / 給付金の10万円が振り込まれた
        新卒の研修がずっと画面越しだ / 契約が更新されなかった / {shop}の仕事がなくなった
    """,
    "外出や旅行": """
        {trip}の旅行をキャンセルした / {small}年ぶりに帰省した / 今年も帰省できない / {family}に{small}年会えていない
        結婚式を{small}回延期した / {shop}が閉店した / {event}のチケットを払い戻した / 飛行機が欠航になった
        家から{small}日出ていない / 自粛で{small}キロ太った / Go Toで{trip}に行った / {trip}行きの新幹線が貸し切り状態だった
        誕生日を一人で部屋で過ごした / 葬式に出られなかった / 帰国して{small}日間ホテルに隔離された
        {family}と画面越しに乾杯した / {event}がなくなって予定が空いた / 外食は{small}か月ぶりだ / 散歩だけが外出になった
        新婚旅行が{trip}から近所の公園になった / 留学が取りやめになった / スーパーは週に{small}回だけにした
    """,
}
_PERSONAL_STARTS = """
    - / - / - / - / 実は、 / コロナで、 / コロナのせいで、 / このご時世で、 / 報告です。 / 近況。 / 日記。 / コロナ禍の日々。 / 記録用。
    個人的な話。 / うちの話。
"""
_TIMES = "今日、 / 昨日、 / 先週、 / 今朝、 / 先月、 / おととい、 / とうとう、 / ゆうべ、"
"""How a clause in the past may begin."""
_PERSONAL_TAILS = """
    - / - / - / - / しばらく家にいる / 家族は今のところ無事だ / とりあえず寝る / 今日はゼリーしか食べていない
    {family}に荷物を送ってもらった / 会社には連絡した / 明日も休みだ / つらい / 疲れた
    ほっとした / 正直しんどい / 泣いた / 仕方なく映画を見ている / {family}も心配していた / 予定は全部断った / 荷物は置き配にした
    おかゆを食べた / 早く治したい / 夜は眠れなかった / まさか自分が
    これから{small}日間こもる / 家で{food}を作った / 友達とは電話だけ / 体は元気だ / 少し落ち着いた / 人生で初めてだ / もう慣れた
    {who}も同じだった / 手帳の予定に線を引いた / 残念 / 寂しい
    ポカリを{small}本飲んだ / 熱は下がった / 久しぶりに{who}と話した / 部屋の掃除が進んだ / 連絡をくれた{who}に救われた
"""

# Things to judge, and claims of one's own as plain-form clauses.
_OPINION_THINGS = {
    "感染者数と流行の波": """
        感染者数の報道 {variant}への対応 {wave}の対策 毎日の人数の速報 {org}の見通し 感染者への差別 今の流行への危機感のなさ
        数字だけの会見 {country}との比較 集団免疫という考え
    """,
    "ワクチン": """
        ワクチンの予約の仕組み {dose}の接種 ワクチンの義務化 接種証明の利用 副反応の情報の少なさ 打たない人への非難 子どもへの接種
        ワクチンのデマ 職域接種の遅れ {org}のワクチン政策 医療者の接種の優先
    """,
    "マスクや手洗い": """
        マスクの強制 屋外でのマスク アベノマスク 子どものマスク 黙食の指導 マスク警察 マスクの転売 飲食店の消毒 鼻出しマスク
        マスクを外す時期 過剰な除菌 手洗いの習慣
    """,
    "検査と医療": """
        PCR検査の少なさ 医療従事者の待遇 保健所の負担 発熱外来の不足 自宅療養という名の放置 病床の確保 {org}の検査の方針
        全数把握の見直し 濃厚接触者の扱い 5類への移行 看護師への手当
    """,
    "仕事や学校": """
        一斉休校 在宅勤務 給付金の遅さ 飲食店への補償 時短営業の要請 オンライン授業 学費の据え置き {event}の中止 満員電車での出勤
        子どもの学びの遅れ 協力金の額 酒の提供の禁止 就活生への対応
    """,
    "外出や旅行": """
        Go_Toトラベル {measure} 県をまたぐ移動の自粛 オリンピックの開催 帰省の自粛 観光業への支援 入国制限の遅さ 自粛警察 路上飲み
        緊急事態宣言の延長 {event}の開催 外食をする人への批判 ロックダウンの議論
    """,
}
_OPINION_CLAIMS = {
    "感染者数と流行の波": """
        人数だけ見ても意味がない / 検査数も一緒に出すべきだ / 感染した人を責めるのは間違っている / またすぐ次の波が来る
        もうただの風邪とは言えない / 気の緩みが一番怖い / 数字に慣れてしまったのが怖い
        減ってきたのは素直にうれしい / 医療が追いつかなくなるのが心配だ / 重症者の数こそ大事だ / このまま収束するとは思えない
        煽りすぎの報道にうんざりする / ここまで増えるまで放っておいたのはひどい
    """,
    "ワクチン": """
        打つかどうかは本人が決めればいい / 早く打てるようにしてほしい / 副反応が怖くて迷う / 打ってくれた医療の人に感謝しかない
        予約の電話がつながらないのはおかしい / 接種の遅れは人災だ / デマを広める人が許せない
        効果と危険の両方を説明するべきだ / 打たない人を責める空気が嫌だ / 開発した研究者は本当に偉い
        若い人を後回しにするのは納得いかない / 無料で打てるのはありがたい / 何回打てば終わるのか不安だ
    """,
    "マスクや手洗い": """
        もうマスクは外していい / まだマスクは着けるべきだ / 熱中症のほうが心配だ / 子どもの表情が見えないのはかわいそうだ
        布マスク二枚に税金を使うのは無駄だ / マスクをしない人が隣に来ると怖い
        手洗いの習慣が根付いたのは良いことだ / マスクを人に強いるのは違う / 外すタイミングがわからない / 転売する人は最低だ
        マスクのおかげで風邪をひかないのは良い / 咳をするときだけ着ければ十分だ
    """,
    "検査と医療": """
        検査をもっと増やすべきだ / 誰でもすぐ検査を受けられるようにしてほしい / 医療従事者には頭が下がる
        看護師の給料をもっと上げてほしい / 病院に入れないまま亡くなるなんてあってはならない
        保健所に仕事を押しつけすぎだ / むやみな検査は意味がない / 救急車は本当に必要な人に使ってほしい / 病床を減らしてきた政策のつけだ
        後遺症をもっと重く見るべきだ / 検査が有料なのはおかしい
        薬が早くできてほしい / 隔離の期間は短くしていい / 現場の人たちに感謝したい
    """,
    "仕事や学校": """
        補償なしの自粛は無理だ / 現金をすぐ配るべきだ / 会社は在宅を続けるべきだ / 子どもにしわ寄せが行くのはつらい / 学費を返してほしい
        飲食店ばかり狙うのは不公平だ / 画面越しの授業では友達ができない
        在宅勤務のほうが効率がいい / 通勤させる会社が信じられない / 先生たちの負担が大きすぎる / 一生に一度の行事を奪うのはかわいそうだ
        非正規から切るのはひどい / 小さな店を守ってほしい / 休校の判断は早すぎた
    """,
    "外出や旅行": """
        今は旅行に行くときではない / 旅行くらい好きに行かせてほしい / 自粛にはもう疲れた / 五輪だけ特別扱いはおかしい
        宣言を出すのが遅すぎる / 宣言にもう効果はない / 観光地を助けたい
        出かける人を責めても仕方ない / 政治家が会食しているのに国民だけ我慢は納得いかない / 水際対策が甘すぎる
        いつまで我慢すればいいのか / 飲み会は別にいらない / 早く自由に人に会いたい / 家にいる人がばかを見るのは変だ
    """,
}
_JUDGEMENTS = """
    おかしい / 納得いかない / 必要だ / もう限界だ / 意味がない / やりすぎだ / 遅すぎる / 中途半端だ / 不公平だ / 正しい判断だ / 仕方ない
    ありがたい / 無責任だ / 見直すべきだ / やめるべきだ / 賛成だ
    反対だ / 疑問だ / もっと考えてほしい / 理解できない / うんざりだ / 心配だ / 怖い / 悪くない / 評価したい / 続けるべきだ / ひどい
    許せない / もっと議論するべきだ / 早く何とかしてほしい / 現実的ではない
    無駄だ / 説明が足りない / 現場をわかっていない / 国民をばかにしている / 順番が違う / 矛盾している / 冷静に見たほうがいい
    人それぞれでいい / 情けない / 不安だ / 大事だ / 立派だ / 支持する / 見ていて腹が立つ
"""
_OPINION_STARTS = """
    - / - / - / - / 個人的には、 / 正直、 / はっきり言って、 / やっぱり、 / 何度でも言うけど、 / 思うんだけど、 / ニュースを見て思う。
    偉そうに言うけど、 / 賛否あるだろうけど、 / 結局、 / そもそも、 / いいかげん、
"""
_OPINION_ENDS = """
    - / - / - / と思う / と思う / と思うんだけど / と思います / 気がする / んじゃないかな / って思うのは私だけ？ / よね / よな
    と言いたい / だろう / と考えます / わ
"""
_OPINION_TAILS = """
    - / - / - / - / いつまで続くのか / いいかげんにしてほしい / もう疲れた / 政府は何をしているのか / みんなはどう思う？ / 声を上げたい
    腹が立つ / 不安しかない / 早く終わってほしい / 頑張っている人に感謝
    コロナが憎い / 誰か説明してほしい / 呆れた / 冷静になろう / 命が一番大事だ / 経済も大事だ / 責任を取ってほしい / 本当に偉い
    頭が下がる / 悲しくなる / 国民をなめている / 答えは一つではない / 希望は捨てたくない
"""
_OPINION_FRAMES = """
    {O}{J}{e} / {O}{C}{e} / {O}{J}{e}{T} / {O}{C}{e}{T} / {J_shi}{C}{e} / {C_shi}{J}{e} / {O}{J}{e}{C} / {C}{J}{e} / {C_noni}{J}{e}
    {K}{J}{e} / {K}{C}{e} / {O}{C_shi}{T} / {K}{C}{T}
    {th}。{C}{e} / {th}って{j}{e} / {th}って{j}{e}{T} / {th}、どう考えても{j}{e} / {th}には{j2} / {th}には{j2}{T} / {th}を見ていると{v}
    {th}のニュースを見るたび{v} / {O}{th}より先にやることがある。
    {th}について。{C}{e} / {th}が話題だけど、{C}{e} / {th}に反対する人もいるけど、{C}{e} / {th}を叩く人が多いけど、{C}{e} / {O}{T}{C}{e}
    {O}{th}も大事だけど、{C}{e}
    {O}{th}をどうにかしてほしい。{T} / {th}、{T}{C}{e} / {K}{th}は{j}{e}
"""
_TOWARDS = """
    賛成 / 反対 / うんざり / がっかり / 疑問しかない / 納得いかない / 違和感がある / もう期待しない / 感謝しかない / 怒りしかない
    不安を感じる / 言いたいことが山ほどある / 反対の声を上げたい
"""
_FEELS = """
    腹が立つ / 悲しくなる / 不安になる / うんざりする / 情けなくなる / ため息が出る / 希望を感じる / 頭が下がる / もやもやする
    怖くなる / 虚しくなる / 勇気をもらう
"""
_BLAMED = "差別|なさ|遅|不足|転売|デマ|非難|放置|警察|鼻出し|批判|過剰|負担|路上飲み|強制|満員電車"
"""Things that nobody praises; what is said of them comes from the next three."""
_HARSH = """
    おかしい / 納得いかない / もう限界だ / やりすぎだ / 無責任だ / 理解できない / うんざりだ / 怖い / ひどい / 許せない / 情けない
    見ていて腹が立つ / 深刻だ / 恥ずかしい / 最悪だ
"""
_AGAINST = """
    反対 / うんざり / がっかり / 納得いかない / 違和感がある / 怒りしかない / 不安を感じる / 言いたいことが山ほどある / 我慢ならない
    もう耐えられない
"""
_SAD = "腹が立つ / 悲しくなる / 不安になる / うんざりする / 情けなくなる / ため息が出る / もやもやする / 怖くなる / 虚しくなる / 心が痛む"
_BACKGROUND = """
    コロナが始まって二年、 / もう三年目、 / {wave}が来て、 / {measure}のニュース。 / {org}の会見を見た。 / {pref}の感染者{cases}人か。
    また{measure}か。 / コロナ禍で、 / {variant}の記事を読んで。
    {city}でも{event}が中止らしい。 / テレビはコロナばかり。 / {org}の発表を聞いて。
"""

_UNRELATED = {
    "food": """
        夕飯は{food} / 昼は{food}にした / {food}の味付けを間違えた / 冷蔵庫の残りで{food}を作った / 夜中に{sweet}を食べてしまった
        駅前で食べた{food}がおいしかった / {sweet}が半額だったので三つ買った
        {food}と{food}で迷って結局{food}にした / 母の{food}がやっぱり一番 / {sweet}を焼いたら焦げた
        新しくできた店の{food}に{small}分並んだ / {food}が食べたい / コンビニの新しい{sweet}が当たりだった
    """,
    "sport": """
        {team}が{small}対0で勝った / {team}がまた負けた / {team}の試合が延長に入って寝られない / {team}の監督の采配がおかしい
        {team}が{small}連勝中 / 今日の試合は九回裏で逆転サヨナラ / 決勝点が最高だった
        フットサルで{small}点決めた / 市民マラソンの練習で{small}キロ走った / 審判の判定に納得いかない
        {team}の新ユニフォームがかっこいい / 相撲の千秋楽を見ている / バスケの試合を見に行く
    """,
    "pet": """
        {pet}が膝の上で寝ている / {pet}がまた花瓶を倒した / {pet}の写真を{few}枚撮った / {pet}が新しいおやつを食べてくれない
        {pet}に朝五時に起こされた / {pet}の寝顔に癒やされる / {pet}が脱走して近所を探した
        {pet}の爪を切った / {pet}が帰ってきた私を無視する / {pet}のワクチンで動物病院へ行った / {pet}が雷を怖がって出てこない
        {pet}がしゃべった気がする
    """,
    "weather": """
        気温が35度もあって暑い / 朝から大雨で靴がびしょぬれ / 洗濯物を干したら降ってきた / 初雪が降った / 風が強くて傘が壊れた
        虹が出ていた / 花粉で目がかゆい / 台風が近づいていて電車が心配
        {city}は今日も快晴 / 雷がすごい / {season}が咲き始めた / {season}が見頃だった / 夕焼けがきれいだった / 朝晩が冷えてきた
        満月がきれい / 地震で目が覚めた / 寒くて布団から出られない
    """,
    "train": """
        {line}が遅れて{small}分待った / {line}で座れた / {line}の車内で寝過ごした / {line}を間違えて{city}まで行った
        {line}の人身事故で足止め / 定期券を家に忘れた / 自転車がパンクした / 免許の更新に行ってきた
        高速道路が渋滞で動かない / {line}の隣の人がずっと寄りかかってくる / 新しい{line}の車両に乗れた / 車検で{few}万円飛んだ
        駐車場で迷った / バスに傘を忘れた
    """,
    "music": """
        新曲を{small}時間聴き続けている / {hobby}の先生に褒められた / ライブの席が最前列だった / 推しの新曲が良すぎる
        カラオケで{few}点しか出なかった / 懐かしい曲を聴いて高校時代を思い出した / ギターの弦が切れた
        ピアノの発表会で間違えた / 推しのグッズが届いた / 推しの配信を見逃した / 吹奏楽の演奏に感動した / チケットの抽選に外れた
        歌詞が頭から離れない
    """,
    "drama": """
        {drama}の最終回で泣いた / {drama}の録画を忘れた / {drama}の犯人が意外すぎた / {drama}を一気見して寝不足
        {drama}の主役の演技がうまい / {drama}の展開が遅い / 漫画の最新刊を買った / {drama}の続編が決まった
        読みかけの小説が面白くて寝られない / {drama}の再放送が楽しみ / {drama}、今週も笑った / 映画館で隣の人がいびきをかいていた
        {drama}の伏線に気づいた人いる？
    """,
    "game": """
        {game}のガチャで{small}連続外れ / {game}でやっとボスを倒した / {game}のデータが消えた / {game}を始めたら朝だった
        {game}で{who}に負けた / {game}の難しさはおかしい / {game}の発売日が延びた
        {game}のレベルが{few}になった / {game}、一緒にやる人募集 / {game}に課金してしまった / {game}の新しいキャラがかわいい
        {hobby}を始めて{small}か月 / {hobby}の道具を新調した / {hobby}が楽しい
    """,
    "work": """
        会議が長い、{small}時間も座りっぱなし / 上司のだじゃれがつらい / 請求書の金額を間違えた / 今日も残業で帰りが{small}時
        昇進試験に受かった / パソコンが固まって資料が消えた / {who}に昼飯をおごってもらった
        転職サイトに登録した / 名刺を切らした / 電話の声が小さいと言われた / 月末の締めで忙しい / 有給を取って{hobby}三昧
        エアコンの効きすぎで会社が寒い / 新しい部署の仕事が面白い / 印刷機がまた詰まった
    """,
    "study": """
        {subject}の試験が終わった / {subject}の宿題が終わらない / {subject}の点が{few}点だった / {subject}の単位を落とした
        {subject}が急に面白くなった / 図書館で{subject}の勉強 / {subject}の先生の雑談が好き
        レポートの締め切りが明日 / 英検に受かった / 席替えで窓際になった / 部活の朝練がきつい / {subject}の教科書を学校に忘れた
        卒論の題が決まらない / 娘が九九を覚えた
    """,
    "home": """
        洗濯機が壊れた / 風呂掃除をした / 部屋の模様替えをした / ごみの日を間違えた / {family}とけんかした
        {family}の誕生日に{sweet}を買った / {family}が歩いた / 引っ越しの荷造りが進まない / 布団を干した
        {family}に{food}を作った / 家計簿が合わない / 鍵をなくした / 植木に水をやり忘れた / 新しいソファーが届いた
        蚊に{small}か所刺された / 電球が切れた / {family}と{hobby}をした / 断捨離で服を{few}着捨てた
    """,
    "hard": """
        視力検査で{small}段階落ちていた / 健康診断のバリウムがつらい / 歯医者の予約を忘れた / 虫歯の麻酔の注射が痛かった
        腰痛で病院に行った / 人間ドックの検査結果は異常なし / 尿検査の紙コップを割った / 血液型検査をした
        美容院でマスク型のパックを買った / プロレスの覆面マスクを集めている / ウイルス対策ソフトの更新で{small}時間かかった
        骨折で入院して{small}日目 / 献血に行ってきた / 盲腸の手術が無事に終わった / 選挙の投票に行ってきた
        消費税の計算が面倒 / 税金が高すぎる / 知事選のポスターが多い / 株価が{few}円下がった / {city}の人口が減っているらしい
        {pref}の魅力度の順位に納得いかない / 流行の服がわからない / {trip}旅行の計画を立てている
        {team}の観客が{many}人だった / 学校の検便を忘れた / 眼鏡を新調した / {sweet}を手作りして友達に配った
        満員の{line}で足を踏まれた / {pref}の山で熊が出た
    """,
}
_UNRELATED_STARTS = """
    - / - / - / - / - / - / やばい、 / 朗報。 / 悲報。 / そういえば、 / 休日。 / 今日の出来事。 / 聞いて、 / うちの話だけど、 / 眠い。
    おはよう。 / ただいま。
"""
_UNRELATED_TAILS = """
    - / - / - / 最高 / 幸せ / 眠い / つらい / 疲れた / うれしい / 明日も頑張る / もう寝る / 笑った / びっくりした / なんでだろう
    悔しい / やる気が出ない / 反省 / 癒やされた / 許せない / 楽しみ / お腹が空いた / また行きたい
    {food}でも食べよう / 帰りに{sweet}を買う / {hobby}でもするか / {who}に笑われた / {who}に自慢した / {pet}も寝ている / 早く週末になれ
    写真を撮るのを忘れた / 誰かわかる人いる？ / 今年で一番かも / {season}がきれいだった / これから{hobby}
"""
_TAGS = {
    "fact": "- / - / - / - / - / - / - / - / #新型コロナ / #コロナ / #COVID19",
    "personal": "- / - / - / - / - / - / - / - / - / #コロナ / #自宅療養 / #コロナ禍",
    "opinion": "- / - / - / - / - / - / - / - / - / #コロナ / #コロナ対策",
    "unrelated": "- / - / - / - / - / - / - / - / - / - / #日記 / #今日のごはん",
}
_NEWS_STARTS = """
    - / - / - / - / - / 【速報】 / 【新型コロナ】 / 【お知らせ】 / 【ニュース】 / 報道によると、 / コロナ関連。 / ニュースより。
    速報です。 / 新型コロナの情報。
"""
_NEWS_TAILS = """
    - / - / - / {org}が{day}発表した / 詳細は{org}のサイト / {month}月{small}日の発表 / 問い合わせは{pref}の窓口へ
    会見は午後{small}時から / {org}の資料による / {org}が明らかにした / {org}の調べ
    なお{pref}の病床使用率は{rate}% / {day}の{pref}の新規感染者は{cases}人 / 全国の累計の感染者は{many}人
    {pref}には{measure}が出ている / {org}は感染対策の徹底を呼びかけている / 全国の重症者は{few}人
"""
_RANGES = {"small": (2, 9), "few": (10, 95), "cases": (11, 2900), "many": (3000, 98000), "rate": (11, 96), "month": (1, 12)}
TOPICS = tuple(_FACTS)


def tweet(label: str, topic: str | None, rng: random.Random) -> str:
    """A tweet of 12 to 95 characters of `label`, about `topic` (None: any; 'unrelated' has none)."""
    if label not in LABELS:
        raise ValueError(f"label {label!r} is none of {', '.join(LABELS)}")
    topic = topic if topic is not None else rng.choice(TOPICS)
    for _ in range(50):
        text = fill(_WRITERS[label](topic, rng), rng).strip()
        if 12 <= len(text) <= (65 if rng.random() < 0.9 else 95):
            return text
    raise AssertionError(f"no tweet of {label} came out at a length of 12 to 95 characters")


def fill(template: str, rng: random.Random) -> str:
    """The template with a word or a number in every slot."""
    return re.sub(r"\{(\w+)\}", lambda slot: _number(slot[1], rng) or rng.choice(_WORDS[slot[1]].split()), template)


def _number(slot: str, rng: random.Random) -> str:
    """The figures of a slot; '' where it holds no number."""
    low, high = _RANGES.get(slot, (0, 0))
    number = rng.randint(low, high)
    return "" if not high else f"{number:,}" if number > 999 and rng.random() < 0.3 else str(number)


def _pick(table: str, rng: random.Random) -> str:
    return rng.choice(cells(table))


def _fact(topic: str, rng: random.Random) -> str:
    first, second = rng.sample(cells(_FACTS[topic]), 2)
    tail = second if rng.random() < 0.25 else _pick(_NEWS_TAILS, rng)
    is_polite = rng.random() < 0.35
    body = "".join(_stop(cell, is_polite, "。", rng) for cell in (first, tail) if cell)
    return _pick(_NEWS_STARTS, rng) + body + _pick(_TAGS["fact"], rng)


def _personal(topic: str, rng: random.Random) -> str:
    first, second = rng.sample(cells(_PERSONAL[topic]), 2)
    is_polite, marks = rng.random() < 0.3, rng.choice(("。", "。", "。！", "。…", "。w笑"))
    joined = rng.random() < 0.15
    body = join(first, rng.choice(("し、", "けど、"))) if joined else _stop(first, is_polite, marks, rng)
    tail = second if joined or rng.random() < 0.15 else _pick(_PERSONAL_TAILS, rng)
    end = _stop(tail, is_polite, marks, rng) if tail else ""
    starts = _TIMES if first.endswith(("た", "だ")) and rng.random() < 0.35 else _PERSONAL_STARTS
    return _pick(starts, rng) + body + end + _pick(_TAGS["personal"], rng)


def _opinion(topic: str, rng: random.Random) -> str:
    """A frame of _OPINION_FRAMES filled: j, c judgement and claim, J the thing judged; in capitals they are whole clauses."""
    thing, claim = rng.choice(_split_things(topic)), _pick(_OPINION_CLAIMS[topic], rng)
    is_blamed = re.search(_BLAMED, thing) is not None
    judgement = _pick(_HARSH if is_blamed else _JUDGEMENTS, rng)
    judged, tail = f"{thing}は{judgement}", _pick(_OPINION_TAILS, rng)
    frame = rng.choice(cells(_OPINION_FRAMES))
    clauses = {"J": judged, "C": claim, "j": judgement, "c": claim}
    slots = {name: _end(clause, rng) if f"{{{name}}}{{e}}" in frame else f"{clause}。" for name, clause in clauses.items()}
    text = frame.replace("{e}", "")
    slots |= {f"{name}_shi": join(clause, "し、") for name, clause in clauses.items()}
    slots |= {f"{name}_noni": join(clause, rng.choice(("し、", "けど、", "から、"))) for name, clause in clauses.items()}
    slots |= {"th": thing, "O": _pick(_OPINION_STARTS, rng), "K": _pick(_BACKGROUND, rng), "T": tail and _stop(tail, False, "。。！…", rng)}
    slots |= {"j2": _pick(_AGAINST if is_blamed else _TOWARDS, rng) + "。", "v": _pick(_SAD if is_blamed else _FEELS, rng) + "。"}
    return re.sub(r"\{(\w+)\}", lambda slot: slots[slot[1]], text).rstrip("、") + _pick(_TAGS["opinion"], rng)


def _split_things(topic: str) -> list[str]:
    return [thing.replace("_", " ") for thing in _OPINION_THINGS[topic].split()]


def _end(clause: str, rng: random.Random) -> str:
    """The clause with an ending that marks an opinion; one that does not fit the clause is replaced."""
    ending = _pick(_OPINION_ENDS, rng)
    if clause.endswith(("ほしい", "のか", "たい")) or not ending:
        return (polite(clause) if rng.random() < 0.3 and not clause.endswith("のか") else clause) + rng.choice("。。！…")
    if ending in ("気がする", "んじゃないかな", "だろう") and re.search("[たう]$|しかない$|いらない$", clause):
        ending = "よね"
    if ending in ("気がする", "んじゃないかな"):
        clause = join(clause, "の").removesuffix("の")
    elif ending == "だろう":
        clause = clause.removesuffix("だ")
    return clause + ending + ("" if ending.endswith("？") else "。")


def _unrelated(_: str, rng: random.Random) -> str:
    table = cells(_UNRELATED[rng.choice([*_UNRELATED])])
    first, second = rng.sample(table, 2)
    tail = second if rng.random() < 0.15 else _pick(_UNRELATED_TAILS, rng)
    is_polite, marks = rng.random() < 0.25, rng.choice(("。", "。", "。！", "！w", "。…", "w笑"))
    body = "".join(_stop(cell, is_polite, marks, rng) for cell in (first, tail) if cell)
    return _pick(_UNRELATED_STARTS, rng) + body + _pick(_TAGS["unrelated"], rng)


def _stop(clause: str, is_polite: bool, marks: str, rng: random.Random) -> str:
    """The clause as a sentence that ends in one of `marks`."""
    mark = "" if clause.endswith("？") else rng.choice(marks)
    return (polite(clause) if is_polite else clause) + mark + (" " if mark in ("w", "笑") else "")


_WRITERS = {"fact": _fact, "personal": _personal, "opinion": _opinion, "unrelated": _unrelated}
