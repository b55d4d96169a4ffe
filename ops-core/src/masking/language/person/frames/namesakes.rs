//! Surnames that are other words or places, too.

use super::super::super::lexicon::{Entry, hash};
use super::super::super::scan::Scan;

/// Surnames that are other words where a surname alone could stand.
const NOUNS: &str = "仲間 出口 根本 中元 三角 大家 野原 別所 国分 川端 朝日 小口 真下 南部 並木 内海 木戸 長屋 竹林 松林 石垣 石橋 \
    鳥居 上地 下地 地下 川上 川下 坂下 坂上 山中 山上 水口 向後 門田 戸口 井戸 大道 大門 白木 白土 植木 金山 銀座 春日 早瀬 東 西 南 北 \
    中 今 仲 前 向 奥 新 所 城 平 林道 角 長 高 見 境 乾 西口 東口 南口 北口 入口 裏口 表口 中央";

/// Surnames that are rather places, by the side of the prefectures, where a surname alone could be either: cities, wards, stations.
const PLACES: &str = "神戸 青山 神田 品川 渋谷 目黒 大宮 川口 川崎 浦和 所沢 川越 船橋 松戸 柏 町田 立川 赤坂 大崎 目白 巣鴨 蒲田 鶴見 戸塚 \
    厚木 梅田 京橋 堺 高槻 茨木 豊中 芦屋 西宮 明石 姫路 灘 伏見 宇治 大津 草津 彦根 津 鈴鹿 伊勢 金沢 高松 水戸 高崎 前橋 浜松 岡崎 福山 倉敷 \
    小倉 那覇 仙台 郡山 日立 日光 熱海 三島 沼津 舞鶴 天理 難波 新宿 池袋 横浜 名古屋 札幌 京都 大阪 東京";

/// Whether a surname is rather another word.
pub(in super::super) fn is_noun(name: &[char]) -> bool {
    NOUNS
        .split_ascii_whitespace()
        .any(|noun| noun.chars().eq(name.iter().copied()))
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
    is_prefecture(scan, name)
        || PLACES
            .split_ascii_whitespace()
            .any(|place| place.chars().eq(name.iter().copied()))
}
