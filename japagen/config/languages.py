"""The languages that `task.language` may name: every ISO 639-1 code, with the names by which people and prompts call it."""

from difflib import get_close_matches

from japagen.errors import ConfigError

_ENGLISH = """
aa Afar; ab Abkhazian; ae Avestan; af Afrikaans; ak Akan; am Amharic; an Aragonese; ar Arabic; as Assamese; av Avaric; ay Aymara
az Azerbaijani; ba Bashkir; be Belarusian; bg Bulgarian; bi Bislama; bm Bambara; bn Bengali; bo Tibetan; br Breton; bs Bosnian
ca Catalan; ce Chechen; ch Chamorro; co Corsican; cr Cree; cs Czech; cu Church Slavonic; cv Chuvash; cy Welsh; da Danish; de German
dv Divehi; dz Dzongkha; ee Ewe; el Greek; en English; eo Esperanto; es Spanish; et Estonian; eu Basque; fa Persian; ff Fulah
fi Finnish; fj Fijian; fo Faroese; fr French; fy Western Frisian; ga Irish; gd Scottish Gaelic; gl Galician; gn Guarani; gu Gujarati
gv Manx; ha Hausa; he Hebrew; hi Hindi; ho Hiri Motu; hr Croatian; ht Haitian; hu Hungarian; hy Armenian; hz Herero; ia Interlingua
id Indonesian; ie Interlingue; ig Igbo; ii Sichuan Yi; ik Inupiaq; io Ido; is Icelandic; it Italian; iu Inuktitut; ja Japanese
jv Javanese; ka Georgian; kg Kongo; ki Kikuyu; kj Kuanyama; kk Kazakh; kl Kalaallisut; km Khmer; kn Kannada; ko Korean; kr Kanuri
ks Kashmiri; ku Kurdish; kv Komi; kw Cornish; ky Kyrgyz; la Latin; lb Luxembourgish; lg Ganda; li Limburgan; ln Lingala; lo Lao
lt Lithuanian; lu Luba-Katanga; lv Latvian; mg Malagasy; mh Marshallese; mi Maori; mk Macedonian; ml Malayalam; mn Mongolian
mr Marathi; ms Malay; mt Maltese; my Burmese; na Nauru; nb Norwegian Bokmål; nd North Ndebele; ne Nepali; ng Ndonga; nl Dutch
nn Norwegian Nynorsk; no Norwegian; nr South Ndebele; nv Navajo; ny Chichewa; oc Occitan; oj Ojibwa; om Oromo; or Odia; os Ossetian
pa Punjabi; pi Pali; pl Polish; ps Pashto; pt Portuguese; qu Quechua; rm Romansh; rn Rundi; ro Romanian; ru Russian; rw Kinyarwanda
sa Sanskrit; sc Sardinian; sd Sindhi; se Northern Sami; sg Sango; si Sinhala; sk Slovak; sl Slovenian; sm Samoan; sn Shona; so Somali
sq Albanian; sr Serbian; ss Swati; st Southern Sotho; su Sundanese; sv Swedish; sw Swahili; ta Tamil; te Telugu; tg Tajik; th Thai
ti Tigrinya; tk Turkmen; tl Tagalog; tn Tswana; to Tonga; tr Turkish; ts Tsonga; tt Tatar; tw Twi; ty Tahitian; ug Uyghur
uk Ukrainian; ur Urdu; uz Uzbek; ve Venda; vi Vietnamese; vo Volapük; wa Walloon; wo Wolof; xh Xhosa; yi Yiddish; yo Yoruba
za Zhuang; zh Chinese; zu Zulu
"""
_OTHER_NAMES = """
ar アラビア語 العربية; bn ベンガル語 বাংলা; cs チェコ語 čeština cz; da デンマーク語 dansk dk; de ドイツ語 Deutsch deu ger
el ギリシャ語 ελληνικά; en 英語 eng; es スペイン語 español castellano spa; fa ペルシア語 فارسی Farsi; fi フィンランド語 suomi
fr フランス語 français fra; he ヘブライ語 עברית; hi ヒンディー語 हिन्दी; hu ハンガリー語 magyar; id インドネシア語
it イタリア語 italiano ita; ja 日本語 にほんご jp jpn; ko 韓国語 朝鮮語 한국어 kor; ms マレー語 Melayu; my ビルマ語 ミャンマー語
ne ネパール語; nl オランダ語 Nederlands; no ノルウェー語 norsk; pl ポーランド語 polski; pt ポルトガル語 português
ro ルーマニア語 română; ru ロシア語 русский; sv スウェーデン語 svenska; sw スワヒリ語 Kiswahili; ta タミル語; th タイ語 ไทย
tl タガログ語 Filipino; tr トルコ語 Türkçe; uk ウクライナ語 українська; vi ベトナム語 Việt; zh 中国語 中文 汉语 漢語 Mandarin zho cn
"""


def _read(table: str) -> dict[str, str]:
    """Code -> the rest of its entry."""
    entries = (entry.strip().partition(" ") for line in table.split("\n") for entry in line.split(";"))
    return {code: names for code, _, names in entries if code}


NAMES = _read(_ENGLISH)
"""ISO 639-1 code -> the language's English name."""
_OTHERS = {code: names.split() for code, names in _read(_OTHER_NAMES).items()}
_BY_NAME = {name.casefold(): code for code, names in _OTHERS.items() for name in names}
_BY_NAME |= {name.casefold(): code for code, name in NAMES.items()} | {code: code for code in NAMES}
COMMON = ("ja", "en", "zh", "ko", "de", "fr", "es", "pt", "it", "nl", "ru", "vi", "th", "id")
"""Codes that messages list, since there are too many to list all."""


def check_language(where: str, language: str) -> None:
    """Raises ConfigError, with the nearest code, where `language` is neither '' nor a code of ISO 639-1."""
    if language and language not in NAMES:
        raise ConfigError(f"{where}={language!r} is not known{_meant(language)}; allowed: '' for any, or {_listed()}")


def find_language(text: str) -> str:
    """The code of a language that is named by its code, or by its name in English, in Japanese or in itself; ConfigError for others."""
    code = _BY_NAME.get(text.strip().casefold())
    if code is None:
        raise ConfigError(f"{text!r} is no language that is known here{_meant(text)}; give {_listed()}")
    return code


def names_of(code: str) -> list[str]:
    """All names by which prompts may call the language."""
    return [NAMES[code], *(name for name in _OTHERS.get(code, ()) if len(name) > 3 or not name.isascii())]


def _meant(text: str) -> str:
    """' (did you mean 'en', English?)' for the language whose name or code is closest."""
    written = text.strip().casefold()
    near = get_close_matches(written, _BY_NAME, n=1, cutoff=0.6)
    code = _BY_NAME.get(written) or (_BY_NAME[near[0]] if near else None)
    return f" (did you mean {code!r}, {NAMES[code]}?)" if code else ""


def _listed() -> str:
    return f"a code of ISO 639-1: {', '.join(f'{code} ({NAMES[code]})' for code in COMMON)}, … ({len(NAMES)} codes)"
