//! Surnames that are other words or places, too.

use super::super::super::lexicon::{Entry, hash};
use super::super::super::scan::Scan;

/// Surnames that are other words where a surname alone could stand.
pub(in super::super::super) const NOUNS: &str = "仲間 出口 根本 中元 三角 大家 野原 別所 国分 川端 朝日 小口 真下 南部 並木 内海 木戸 長屋 竹林 松林 石垣 石橋 鳥居 上地 下地 地下 川上 \
    川下 坂下 坂上 山中 山上 水口 向後 門田 戸口 井戸 大道 大門 白木 白土 植木 金山 銀座 春日 早瀬 東 西 南 北 中 今 仲 前 向 奥 新 所 \
    城 平 林道 角 長 高 見 境 乾 西口 東口 南口 北口 入口 裏口 表口 中央 一戸";

/// Surnames that are rather places where a surname alone could be either: prefectures, large cities, stations.
pub(in super::super::super) const PLACES: &str = "神戸 青山 神田 品川 渋谷 目黒 大宮 川口 川崎 浦和 川越 船橋 柏 町田 立川 赤坂 大崎 目白 巣鴨 蒲田 鶴見 戸塚 梅田 堺 茨木 芦屋 西宮 \
    明石 伏見 宇治 大津 伊勢 金沢 高松 水戸 高崎 前橋 岡崎 福山 小倉 那覇 郡山 熱海 三島 難波 池袋 名古屋 松山 宇都宮 豊田 藤沢 長岡 久留米 \
    小田原 平塚 鎌倉 尼崎 吹田 会津 伊豆 青森 岩手 宮城 秋田 山形 福島 茨城 千葉 富山 石川 福井 山梨 長野 愛知 奈良 和歌山 岡山 広島 \
    山口 徳島 香川 福岡 佐賀 長崎 熊本 宮崎 鹿児島";

/// Surnames that smaller towns, old provinces, houses of old and large companies are called like: of each by itself, only what is told of it says which of the two it is.
pub(in super::super::super) const TOWNS: &str = "野村 竹中 大林 大塚 久保田 織田 毛利 北条 上杉 島津 武田 徳川 豊臣 松平 井伊 安田 前原 \
    北見 千歳 滝川 砂川 深川 石狩 八戸 三沢 黒石 宮古 北上 釜石 水沢 古川 白石 名取 松島 横手 能代 大館 湯沢 米沢 鶴岡 酒田 天童 寒河江 \
    新庄 上山 長井 白河 須賀川 相馬 二本松 喜多方 伊達 土浦 石岡 結城 高萩 笠間 守谷 鹿島 鹿嶋 足利 佐野 鹿沼 小山 真岡 矢板 那須 桐生 沼田 \
    館林 渋川 藤岡 富岡 安中 熊谷 本庄 狭山 羽生 鴻巣 深谷 戸田 桶川 北本 八潮 蓮田 坂戸 日高 銚子 館山 野田 茂原 成田 佐倉 東金 勝浦 市原 \
    我孫子 鴨川 君津 富津 柏原 津田沼 中野 国立 昭島 小金井 小平 日野 清瀬 多摩 板橋 足立 葛飾 江戸川 荒川 豊島 大田 墨田 大塚 駒込 田端 \
    赤羽 三田 茅ヶ崎 三浦 秦野 大和 海老名 綾瀬 葉山 日吉 綱島 溝口 登戸 生田 三条 柏崎 加茂 糸魚川 佐渡 高岡 氷見 滑川 砺波 射水 七尾 小松 \
    輪島 珠洲 加賀 羽咋 能登 敦賀 小浜 勝山 越前 坂井 若狭 都留 韮崎 甲斐 笛吹 大月 松本 上田 岡谷 飯田 諏訪 須坂 大町 飯山 茅野 塩尻 佐久 \
    大垣 高山 関 美濃 羽島 土岐 可児 伊東 島田 掛川 藤枝 下田 湖西 一宮 瀬戸 半田 春日井 豊川 津島 刈谷 西尾 犬山 常滑 江南 小牧 新城 東海 \
    知多 知立 高浜 岩倉 熱田 栄 千種 松阪 桑名 尾鷲 亀山 鳥羽 熊野 伊賀 志摩 長浜 近江 守山 栗東 甲賀 野洲 湖南 米原 綾部 宮津 亀岡 城陽 \
    山科 嵯峨 嵐山 貝塚 守口 八尾 松原 大東 和泉 高石 本町 北浜 伊丹 相生 豊岡 赤穂 三木 川西 篠山 養父 丹波 朝来 淡路 三宮 須磨 垂水 生駒 \
    葛城 吉野 有田 御坊 新宮 白浜 松江 浜田 出雲 益田 江津 津山 玉野 井原 新見 美作 呉 竹原 三原 庄原 大竹 宮島 下松 長門 柳井 徳山 阿南 \
    美馬 坂出 西条 大洲 安芸 南国 土佐 須崎 直方 飯塚 田川 柳川 筑後 行橋 春日 宗像 糸島 唐津 多久 嬉野 島原 大村 対馬 壱岐 五島 八代 人吉 \
    荒尾 玉名 山鹿 天草 阿蘇 別府 中津 日田 佐伯 臼杵 津久見 竹田 杵築 都城 日向 串間 出水 薩摩 日置 霧島 石垣 浦添 糸満 水島 大久保 東山 \
    大原 三河 信濃 越後 越中 播磨 但馬 武蔵 駿河 遠江 上総 下総 常陸 陸奥 出羽 肥後 豊後 周防 因幡 石見 朝倉 羽田 鳥海 白馬 磐梯 浅間 穂高 乗鞍 上野 \
    村上 二宮 小笠原 三宅 大森 大井 菊川 有馬 高田 葛西 久米 小野 滝沢 吉川 桜井 本郷 早川 根岸 三好 辰巳 平井 大野 伊佐 西脇 鳴海 中井 堀川";

/// Surnames that are other words or places too, and of which hardly anybody thinks first.
pub(in super::super::super) const FAMILIES: &str = "鈴木 山田 山本 山崎 藤田 松田 松井 橋本 野村 久保田 中島 杉山 武田 安田 野口 浅見 筒井 細見 緒方 片岡 中西 中山 岡部 桑原 大谷 津田 真田 河合 杉原 藤本 吉本 平出 柘植 柴山 橋詰 畠中 蛭田 \
    郡司 金丸 金城 長尾 門田 風間 高瀬 高島 鵜飼 麻生 松坂 安永 冨山 下山 仁平 和気 宮内 宮地 土居 岩上 岩崎 深見 谷口 荒木 山下 平山 川島 江上 末松 石原";

/// Surnames that are words first, of which something is told that only people do: 青木が欠席.
const WORDS: [&str; 16] = [
    "青木", "青柳", "稲葉", "内野", "遠山", "香取", "金子", "木本", "高木", "立花", "土方", "中原", "古屋",
    "望月", "本木", "山内",
];

/// Whether a surname is a word first, and still is a person of whom something is told that only people do.
pub(super) fn is_worded(name: &[char]) -> bool {
    WORDS.iter().any(|word| word.chars().eq(name.iter().copied()))
}

/// Whether a surname is rather another word.
pub(in super::super) fn is_noun(scan: &Scan<'_>, name: &[char]) -> bool {
    scan.lexicon.word(name).is(Entry::NOUN)
}

/// Whether a surname is also what a prefecture is called: 千葉.
pub(super) fn is_prefecture(scan: &Scan<'_>, name: &[char]) -> bool {
    ['県', '府', '都'].into_iter().any(|end| {
        scan.lexicon
            .entry(hash(name.iter().copied().chain([end])))
            .is(Entry::PREFECTURE)
    })
}

/// Whether a surname is rather a place where it stands alone: 千葉, 品川.
pub(in super::super) fn is_place(scan: &Scan<'_>, name: &[char]) -> bool {
    scan.lexicon.word(name).is(Entry::PLACE)
}

/// Whether a surname of two characters or more is hardly ever anything else: 佐々木, 鈴木.
pub(super) fn is_family(scan: &Scan<'_>, name: &[char]) -> bool {
    let entry = scan.lexicon.word(name);
    name.len() > 1
        && entry.is(Entry::SURNAME)
        && !(entry.is(Entry::PLACE) || entry.is(Entry::TOWN) || entry.is(Entry::NOUN))
        && (entry.is(Entry::FAMILY) || !entry.is(Entry::ORDINARY))
}
