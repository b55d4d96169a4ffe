//! Splits Japanese names into surname and given name, by dictionary and by shape.

use super::super::letters::{is_hiragana, is_kanji, is_katakana, is_space, starts_with};
use super::super::lexicon::{Entry, Lexicon, SEED, step};
use super::beside::{TOUCHED, begins_behind, begins_with_particle};
pub(super) use super::beside::{begins_with_side, begins_with_title};

/// How sure it is that characters are a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Points(pub(super) i32);

impl Points {
    /// Both parts are known.
    pub(super) const FULL: Self = Self(10);
    /// As `FULL`, with a surname that is rare.
    pub(super) const RARE_FULL: Self = Self(8);
    /// A known surname.
    pub(super) const SURNAME: Self = Self(6);
    /// A known surname and what may be a given name.
    pub(super) const HALF: Self = Self(5);
    /// A rare surname, or what may be a surname and a known given name.
    pub(super) const RARE: Self = Self(4);
    /// A known given name.
    pub(super) const GIVEN: Self = Self(3);
    /// Only the shape of a name.
    pub(super) const SHAPE: Self = Self(1);
}

/// What `chars`, taken together, are worth as a name. At most one space, and none at the ends.
pub(super) fn whole(lexicon: &Lexicon, chars: &[char]) -> Option<Points> {
    if let Some(space) = chars.iter().position(|c| is_space(*c)) {
        return spaced(lexicon, &chars[..space], &chars[space + 1..]);
    }
    if chars.is_empty() || chars.len() > 8 || !chars.iter().all(|c| is_name(*c)) || is_role(chars) {
        return None;
    }
    let kana = chars.iter().all(|c| !is_kanji(*c));
    let mut best = None;
    let mut better = |points| best = best.max(Some(points));
    let entry = lexicon.word(chars);
    if entry.is(Entry::SURNAME) {
        better(if kana && entry.is(Entry::ORDINARY) {
            Points::GIVEN
        } else {
            Points::SURNAME
        });
    }
    if entry.is(Entry::RARE_SURNAME) {
        better(if entry.is(Entry::ORDINARY) {
            Points::GIVEN
        } else {
            Points::RARE
        });
    }
    if entry.is(Entry::GIVEN) {
        better(Points::GIVEN);
    }
    let mut hash = SEED;
    for split in 1..chars.len().min(6) {
        hash = step(hash, chars[split - 1]);
        if is_hiragana(chars[split - 1]) && !kana {
            break;
        }
        let surname = lexicon.entry(hash);
        let rest = &chars[split..];
        let given = lexicon.word(rest);
        if given.is(Entry::GIVEN) {
            if surname.is(Entry::SURNAME) && (split > 1 || rest.len() > 1) {
                better(Points::FULL);
            } else if surname.is(Entry::RARE_SURNAME) && chars.len() > 2 {
                better(Points::RARE_FULL);
            } else if split <= 3 && rest.len() > 1 && !kana {
                better(Points::RARE);
            } else if split == 1 && surname.is(Entry::SURNAME) && !entry.is(Entry::ORDINARY) {
                // 関茂, 原修
                better(Points::GIVEN);
            }
        } else if surname.is(Entry::SURNAME) && split > 1 && may_be_given(rest) && !given.is(Entry::ROLE) {
            better(Points::HALF);
        }
    }
    if kana {
        return best;
    }
    let shape = chars.len() <= 5 && chars.iter().all(|c| is_kanji(*c) || is_joint(*c));
    best.or(shape.then_some(Points::SHAPE))
}

/// A surname, a space, a given name.
pub(super) fn spaced(lexicon: &Lexicon, surname: &[char], given: &[char]) -> Option<Points> {
    let fits =
        |part: &[char]| (1..=5).contains(&part.len()) && part.iter().all(|c| is_name(*c)) && !is_role(part);
    if !fits(surname) || !fits(given) {
        return None;
    }
    let first = lexicon.word(surname);
    let second = lexicon.word(given);
    let is_given = second.is(Entry::GIVEN);
    if first.is(Entry::SURNAME) {
        if is_given {
            return Some(Points::FULL);
        }
        return (!second.is(Entry::SURNAME)).then_some(Points::HALF);
    }
    if first.is(Entry::RARE_SURNAME) {
        return Some(if is_given { Points::RARE_FULL } else { Points::RARE });
    }
    if is_given && !second.is(Entry::SURNAME) {
        return Some(Points::RARE);
    }
    Some(Points::SHAPE)
}

/// The name at the beginning of `chars`: how many characters, and how sure. What follows is no part of a word with it.
pub(super) fn forward(lexicon: &Lexicon, chars: &[char]) -> Option<(usize, Points)> {
    let run = chars
        .iter()
        .take_while(|c| is_kanji(**c) || is_joint(**c))
        .count();
    let mut best: Option<(usize, Points)> = None;
    let mut better = |end: usize, points: Option<Points>| {
        if let Some(points) = points
            && ends(chars, end)
            && best.is_none_or(|(_, known)| points >= known)
        {
            best = Some((end, points));
        }
    };
    for end in 1..=run.min(8) {
        better(end, whole(lexicon, &chars[..end]));
    }
    if run == 0 {
        return None;
    }
    // A given name in kana behind a surname in kanji: さゆり, くみ子.
    if run <= 3 && chars.get(run).is_some_and(|c| is_hiragana(*c)) {
        for end in run + 2..=chars.len().min(run + 5) {
            let given = &chars[run..end];
            if !given.iter().all(|c| is_hiragana(*c) || is_kanji(*c)) {
                break;
            }
            let entry = lexicon.word(given);
            let surname = lexicon.word(&chars[..run]);
            if entry.is(Entry::GIVEN)
                && (surname.is(Entry::SURNAME) || surname.is(Entry::RARE_SURNAME) && run > 1)
                && !begins_with_title(given)
                // 奥村より, 小川のほとり
                && !["より", "から", "まで"].iter().any(|word| word.chars().eq(given.iter().copied()))
                && !(given[0] == 'の' && given.len() == 2 && chars.get(end).is_some_and(|c| is_hiragana(*c)))
                && (!entry.is(Entry::ORDINARY)
                    || given.len() > 2 && given.iter().all(|c| is_hiragana(*c))
                    || chars.get(end).is_none_or(|c| !is_hiragana(*c)))
                && chars
                    .get(end)
                    .is_none_or(|c| !is_hiragana(*c) || begins_with_particle(&chars[end..]))
            {
                better(end, Some(Points::FULL));
            }
        }
    }
    // A given name in katakana: 林エリカ.
    if run <= 4 && chars.get(run).is_some_and(|c| is_katakana(*c)) {
        let length = chars[run..].iter().take_while(|c| is_katakana(**c)).count();
        let surname = lexicon.word(&chars[..run]);
        let known = surname.is(Entry::SURNAME) || surname.is(Entry::RARE_SURNAME);
        if (2..=6).contains(&length) && known && lexicon.word(&chars[run..run + length]).is(Entry::GIVEN) {
            better(run + length, Some(Points::FULL));
        }
    }
    // A space, and the given name.
    if run <= 5 && chars.get(run).is_some_and(|c| is_space(*c)) {
        let second = chars[run + 1..]
            .iter()
            .take_while(|c| is_kanji(**c) || is_hiragana(**c) || is_katakana(**c))
            .count();
        for length in 1..=second.min(5) {
            let end = run + 1 + length;
            let kana_goes_on = is_hiragana(chars[end - 1])
                && chars
                    .get(end)
                    .is_some_and(|c| is_hiragana(*c) && !begins_with_particle(&chars[end..]));
            let points = spaced(lexicon, &chars[..run], &chars[run + 1..end]);
            // Of a given name that is not known, the whole word is taken.
            let known = points.is_some_and(|points| points == Points::FULL || points == Points::RARE_FULL);
            if !kana_goes_on && (known || length == second || begins_with_title(&chars[end..])) {
                better(end, points);
            }
        }
    }
    best
}

/// The name at the end of `chars`: where it begins, and how sure.
pub(super) fn backward(lexicon: &Lexicon, chars: &[char]) -> Option<(usize, Points)> {
    let length = chars.len();
    let run = |end: usize| {
        let is_part = |c: &&char| is_kanji(**c) || is_hiragana(**c) || is_joint(**c);
        end - chars[..end].iter().rev().take(8).take_while(is_part).count()
    };
    let first = run(length);
    let mut best: Option<(usize, Points, i32)> = None;
    let mut better = |start: usize, points: Points, bonus: i32| {
        let score = points.0 + bonus;
        if best.is_none_or(|(_, _, known)| score > known) {
            best = Some((start, points, score));
        }
    };
    // 先方平野社長: no part of the word in front is one of the name.
    let touched = (first..length).find_map(|start| {
        TOUCHED
            .iter()
            .filter(|word| starts_with(&chars[start..], word))
            .map(|word| start..start + word.chars().count())
            .find(|word| word.end < length && whole(lexicon, &chars[word.end..]) >= Some(Points::GIVEN))
            // 明日香さん
            .filter(|word| {
                // 森本日南さん, 田中明日南さん
                let behind_family = (start..word.end)
                    .any(|end| end > first + 1 && lexicon.word(&chars[first..end]).is(Entry::SURNAME));
                !lexicon.word(&chars[start..]).is(Entry::GIVEN)
                    && !(behind_family
                        && (length - word.end < 2
                            || whole(lexicon, &chars[word.end..]) < Some(Points::SURNAME)))
            })
    });
    // 故黒木さん, 前佐藤部長; but 前林恵子 and 今井田 are names as a whole.
    let touched = touched.or_else(|| {
        let (all, rest) = (&chars[first..], chars.get(first + 1..)?);
        let known = |part: &[char]| part.len() > 1 && lexicon.word(part).is(Entry::SURNAME);
        let full = |part: &[char]| whole(lexicon, part) == Some(Points::FULL);
        let splits = match all[0] {
            '故' => known(rest) && !known(all) || full(rest) && !full(all),
            '前' | '現' | '元' => known(rest) && !known(all) && !lexicon.word(all).is(Entry::RARE_SURNAME),
            _ => false,
        };
        splits.then_some(first..first + 1)
    });
    for start in first..length {
        if touched.as_ref().is_some_and(|word| word.contains(&start)) {
            continue;
        }
        let Some(points) = whole(lexicon, &chars[start..]) else {
            continue;
        };
        let kana = is_hiragana(chars[start]);
        let before = start.checked_sub(1).map(|at| chars[at]);
        let bonus = match before {
            None => 3,
            Some(c) if start == first && !is_kanji(c) && !is_hiragana(c) => 3,
            // A particle ends the word before; a name in kana has no such edge.
            Some(c) if is_hiragana(c) && !kana => 2,
            // 先方五十嵐社長
            Some(_) if touched.as_ref().is_some_and(|word| word.end == start) => 3,
            Some('方' | '司' | '僚' | '下' | '輩' | '書' | '師')
                if !kana && begins_behind(&chars[..start]) =>
            {
                3
            }
            Some(c) if is_edge(c) && !kana => 1,
            _ if kana => -9,
            _ => -4,
        };
        // The end of what a company is called, and no surname: 鉄工所様.
        if start + 1 == length && "所堂館園院社会店".contains(chars[start]) && before.is_some_and(is_kanji)
        {
            continue;
        }
        // Of an unknown name, only all of it.
        if points == Points::SHAPE && bonus < 2 {
            continue;
        }
        better(start, points, bonus);
    }
    if first > 1 && is_space(chars[first - 1]) {
        let surname = run(first - 1);
        for start in surname..first - 1 {
            let Some(points) = spaced(lexicon, &chars[start..first - 1], &chars[first..]) else {
                continue;
            };
            let whole = start == surname;
            // 故松崎 英樹
            let late = whole
                && chars[start] == '故'
                && start + 1 < first - 1
                && lexicon.word(&chars[start + 1..first - 1]).is(Entry::SURNAME);
            if late {
                continue;
            }
            let edge = start > 0
                && (is_edge(chars[start - 1]) || is_hiragana(chars[start - 1]) || chars[start - 1] == '故');
            match points {
                // The parts are unknown: only all of them together.
                Points::SHAPE if !whole || chars[start..].iter().any(|c| is_hiragana(*c)) => {}
                _ if whole => better(start, points, 4),
                Points::FULL | Points::RARE_FULL | Points::HALF if edge => better(start, points, 3),
                // 司会は四十物 加奈: a particle ends the word before.
                Points::RARE if first - start > 2 && start > 0 && is_hiragana(chars[start - 1]) => {
                    better(start, points, 3)
                }
                _ => {}
            }
        }
    }
    best.filter(|(_, _, score)| *score > 0)
        .map(|(start, points, _)| (start, points))
}

/// A character that a name is written with.
pub(super) fn is_name(c: char) -> bool {
    is_kanji(c) || is_hiragana(c) || is_katakana(c)
}

fn is_joint(c: char) -> bool {
    matches!(c, 'ヶ' | 'ケ' | 'ノ' | 'ヵ' | 'ツ' | 'ッ')
}

/// Whether a name may end in front of `chars[end]`: no word goes on there, but for a title.
fn ends(chars: &[char], end: usize) -> bool {
    match chars.get(end) {
        None => true,
        Some(c) if is_kanji(*c) => begins_with_title(&chars[end..]),
        Some(c) => !is_katakana(*c) || chars[end..].starts_with(&['マ', 'ネ']),
    }
}

/// A given name that no dictionary knows: up to three kanji, or kana.
fn may_be_given(chars: &[char]) -> bool {
    let kana = chars.iter().all(|c| is_hiragana(*c));
    if kana {
        return (2..=4).contains(&chars.len()) && !begins_with_particle(chars) && !begins_with_title(chars);
    }
    chars.len() <= 3 && !chars.iter().any(|c| is_katakana(*c))
}

/// Characters behind which a new word begins.
fn is_edge(c: char) -> bool {
    "市区町村県都府部課室係社店局長任当者名付先号様氏員日時分回月年元人".contains(c)
}

/// Words that stand where a name could, and are none.
pub(in super::super) const ROLES: &str = "皆 お客 客 顧客 取引先 得意先 仕入先 家族 親族 遺族 先方 御社 貴社 弊社 当社 他社 同社 本人 当人 個人 \
    法人 関係 各位 奥 神 王 仏 殿 姫 嫁 婿 娘 息子 孫 爺 婆 坊 母 父 兄 姉 弟 妹 隣 仕 同 模 多 異 \
    有 各 両 某 諸 男性 女性 必須 任意 不明 未定 未登録 未入力 変更 登録 削除 確認 交代 不在 調整中 選定中 \
    一覧 情報 入力 漢字 全角 半角 管理 責任 代理 匿名 非公開 空欄 電話 電話番号 住所 年齢 性別 生年月日 以下 \
    郵便番号 口座番号 社員番号 会員番号 携帯番号 所属 役職 部署 職種 備考 金額 連絡先 携帯 氏名 名前 以上 上記 下記 別途 別紙 同上 株式 有限 会社 東京 大阪 京都 北海道 日本 本日 昨日 今日 明日 今回 前回 \
    次回 午前 午後 至急 全員 複数 下請 業者 看護 患 医 学生 生徒 先生 社長 部長 課長 係長 主任 専務 常務 \
    取締役 代表 代表取締役 運営 事務 総務 営業 人事 経理 開発 技術 担当 開始 終了 完了 失敗 成功 処理 対応 \
    設定 連絡 送信 受信 予定 自動 手動 有効 無効 正常 異常 管理画面 商品 注文 合計 小計 税込 税抜 無料 有料 \
    女将 大家 役 共同 新任 前任 後任 配偶 保護 利用 購入 被害 加害 依頼 相手 仲間 友人 知人 恋人 主人 旦那 \
    上司 部下 同僚 先輩 後輩 素人 職人 芸人 人 者 大 小 新 旧 前 後 元 現 副 全 総 第一 第二 第三 書類 \
    資料 内容 詳細 備考 理由 目的 ユーザー ユーザ オーナー スタッフ メーカー メンバー ゲスト パートナー ベンダー \
    ドライバー クライアント エンジニア サービス サポート カスタマー ママ パパ チーム グループ リーダー マネージャー \
    ドクター ナース サプライヤー ディーラー テナント ビジター モニター ライター デザイナー プログラマー プロジェクト \
    エリア アカウント プロダクト シニア ジュニア チーフ システム セールス マーケティング インターン アルバイト パート \
    フリーランス コンサルタント アシスタント オペレーター インストラクター プロジェクトマネージャー ゼネラル トレーナー \
    コーチ アドバイザー コーディネーター スクラムマスター テスト サンプル デフォルト エラー サーバー データ フリガナ \
    カナ 運転手 新人 職人 大工 おきゃく みな みんな 助手 歌手 騎手 選手 相手 担い手 乗務員 美容師 理容師 保育士 介護士 栄養士 警備員 配達員 \
    ボット ロボット チャットボット アプリ ブラウザ ルーター プリンター サポーター ヘルパー ケアマネ ケアマネージャー ベビーシッター タクシー \
    ペット ワンコ ネコ 猫 犬 店長候補 ご近所 近所 隣人 住人 住民 大将 若手 中堅 新卒 中途 常連 初心者 未経験 親御 お子 子供 \
    八百屋 本屋 花屋 魚屋 肉屋 床屋 酒屋 薬屋 電気屋 不動産屋 パン屋 業者 農家 漁師 看護婦 巡査 刑事 警察 消防 役人 芸能 有名 一般 法務 \
    弁護人 代理人 管財人 後見人 保佐人 補助人 依頼人 相続人 申立人 相手方 証人 参考人 被告人 原告 被告 税理士 弁護士 会計士 公認会計士 社労士 司法書士 行政書士 弁理士 法律 会計 税務 広報 財務 労務 情シス 開発者 管理人 大学生 高校生 中学生 小学生 留学生 実習生 研修生 新入生 受講生 卒業生 在校生";

/// Whether a word names a role, an organisation or a place rather than a person.
fn is_role(chars: &[char]) -> bool {
    const ENDS: &str = "者員社店方客主族側達々署庁省局課室県市区駅院校学園館所場会団組合長業務業費額数量品料金券様部町郡県都府";
    chars
        .last()
        .is_some_and(|last| ENDS.contains(*last) && chars.len() != 1)
        && !is_exception(chars)
        || Lexicon::get().word(chars).is(Entry::ROLE)
}

/// Names that end like a role: 服部, 岡部, 大町, 中村…
fn is_exception(chars: &[char]) -> bool {
    let lexicon = Lexicon::get();
    let entry = lexicon.word(chars);
    if entry.is(Entry::SURNAME) || entry.is(Entry::GIVEN) && !entry.is(Entry::ORDINARY) {
        return true;
    }
    // 山田学, 佐藤一方
    (1..chars.len()).any(|split| {
        lexicon.word(&chars[..split]).is(Entry::SURNAME)
            && lexicon.word(&chars[split..]).is(Entry::GIVEN)
            && !"店市区県社課駅庁町".contains(chars[chars.len() - 1])
    })
}
