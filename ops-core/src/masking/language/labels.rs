//! Words in front of a value that say what it is: labels in prose and keys of JSON, logs and forms.

use super::letters::{
    Note, Window, char_at, char_before, is_hiragana, is_kanji, is_katakana, is_space, note_at,
};
use super::lexicon::{Entry, Lexicon, SEED, step_small};

/// What a label announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Name(Strength),
    /// The kind or the number of a bank account, whose holder stands behind the digits.
    Account,
    Address,
    Department,
    Money,
    /// An evaluation of a person.
    Grade,
    /// An evaluation of something.
    Rating,
    /// A disease and the like.
    Condition,
    /// The result of an examination, which need not be a condition.
    Health,
    /// A key, as a network or a program asks for one.
    Secret,
}

/// How far a label can be trusted to be followed by the name of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// Anything can follow: the value must look like a known name.
    Weak,
    /// A person, mostly; or a company.
    Fair,
    /// A name of a person.
    Sure,
}

use Label::{Account, Address, Condition, Department, Grade, Health, Money, Name, Rating, Secret};
use Strength::{Fair, Sure, Weak};

const JAPANESE: &[(Label, &str)] = &[
    (
        Name(Sure),
        "氏名 姓名 フルネーム 本名 旧姓 宛名 名義人 名義 カナ フリガナ ふりがな ふり仮名 カナ氏名 氏名カナ 患者名 顧客名 社員名 従業員名 会員名 担当者名 \
         申請者名 代表者名 責任者名 契約者名 受取人名 差出人名 送付先名 届け先名 承認者名 参加者名 保護者名 生徒名 学生名 被保険者名 本人氏名 お名前カナ 姓カナ 名カナ \
         氏名漢字 連絡者名 利用者名 職員名 配送先名 受講者名 応募者名 候補者名 作成者名 予約者名 世帯主名 戸籍名 口座名義 ご芳名 芳名 申込者名 受験者名 発注者名 依頼者名 \
         購入者名 注文者名 発表者名 対象者名 お客様名 お客さま名 記名 著者名 訳者名 講師名 審査員名 運転者名 送金人名 振込人名 相続人名 参列者名 旧氏名 \
         振込依頼人名 依頼人名 荷送人名 荷受人名 発注担当者名 被評価者名 提出者名 回答者名 質問者名 主催者名 出演者名 入居者名 所有者名 届出者名 請求者名 送信者名 投稿者名 \
         報告者名 記入者名 確認者名 登録者名 更新者名 保証人名 連帯保証人名 代理人名 後見人名 売主名 買主名 貸主名 借主名 児童名 園児名 利用者氏名 患者氏名 生徒氏名 学生氏名 \
         社員氏名 従業員氏名 申請者氏名 契約者氏名 代表者氏名 担当者氏名 保護者氏名 申込者氏名 届出人氏名 被保険者氏名",
    ),
    (
        Name(Fair),
        "名前 お名前 担当 担当者 申請者 契約者 受取人 受取 送付先 届け先 お届け先 配送先 宛先 差出人 依頼者 依頼主 承認者 責任者 代表者 連絡先 連絡者 参加者 出席者 欠席者 発言者 \
         講師 患者 被保険者 利用者 記入者 作成者 更新者 登録者 報告者 起票者 受付者 受付担当 対応者 営業担当 緊急連絡先 保証人 連帯保証人 保護者 世帯主 本人 配偶者 続柄 上司 部下 \
         上長 応募者 候補者 面接官 予約者 購入者 注文者 発注者 送信者 受信者 投稿者 著者 監督者 管理者 所有者 使用者 名義 社員 従業員 職員 会員 氏 訪問者 来訪者 面会者 主治医 担当医 執刀医 \
         署名 代表取締役 取締役 代表 社長 部長 課長 係長 主任 店長 所長 室長 支店長 工場長 司会 司会者 書記 議長 座長 幹事 進行 発表者 登壇者 講演者 演者 受講者 対象者 該当者 申告者 届出人 \
         届出者 申込者 申込人 請求者 請求人 同席者 立会人 立会者 引率者 担任 院長 園長 校長 医師 看護師 薬剤師 起案者 決裁者 確認者 実施者 操作者 検査者 受付 当番 被扶養者 扶養家族 喪主 新郎 新婦 \
         長男 長女 次男 次女 三男 三女 祖父 祖母 妻 夫 父 母 兄 姉 弟 妹 \
         贈与者 受贈者 運転者 振込人 送金人 相続人 被相続人 譲渡人 譲受人 売主 買主 貸主 借主 借受人 賃借人 賃貸人 委任者 受任者 代理人 後見人 遺言者 証人 債権者 債務者 原告 被告 \
         被害者 加害者 目撃者 通報者 発見者 相談者 相談員 審査員 調査員 検査員 監査人 監査役 設計者 開発者 作業者 作業員 運転手 配達員 警備員 引受人 寄付者 寄贈者 \
         推薦者 紹介者 面談者 申立人 申出人 納税者 居住者 入居者 同居人 同居者 親権者 受益者 加入者 監事 理事 理事長 委員長 委員 班長 隊長 編集者 編集長 執筆者 訳者 \
         監修者 撮影者 出演者 当直者 当直医 休職者 退職者 入社者 異動者 後任者 前任者 後任 前任 引継者 受領者 返却者 貸出者 借用者 検収者 点検者 測定者 記録者 \
         入力者 照会者 問合せ者 問い合わせ者 来場者 来店者 来客者 宿泊者 同行者 同伴者 搭乗者 当選者 受賞者 合格者 内定者 実習生 研修生 留学生 \
         参列者 救急隊員 介護者 訪問先 面会先 聞き手 語り手 話し手 投手 捕手 歌手 騎手 インタビュアー ナレーター リーダー サブリーダー マネージャー メンバー オーナー プロデューサー ディレクター デザイナー \
         コーディネーター ドライバー レビュアー レポーター キャスター ライター プレゼンター スピーカー アドバイザー トレーナー インストラクター 被告人 申立代理人 弁護人 参考人 \
         振込依頼人 依頼人 荷送人 荷受人 発送人 支払人 提出者 回答者 質問者 主催者 執行者 遺言執行者 管財人 破産管財人 申請人 選考者 評価者 被評価者 考課者 推進者 同意者 \
         提案者 発案者 購買担当 発注担当 採用担当 人事担当 経理担当 総務担当 技術担当 開発担当 企画担当 広報担当 現場担当 工事担当 設計担当 窓口担当 主担当 副担当 前担当 後担当 新担当 旧担当 対応担当 \
         担当責任者 現場責任者 安全責任者 衛生管理者 防火管理者 現場代理人 監理者 施工者 発行者 発行人 編集人 翻訳者 通訳者 取材者 出場者 優勝者 引受者 受託者 委託者 管理人 家主 地主 戸主 親権者 遺産相続人 \
         法定代理人 法定相続人 身元引受人 身元保証人 緊急連絡者 付添人 付添者 家族代表 遺族代表 施主 債権管理者 支配人 主宰者 副部長 副社長 副店長 副委員長 副会長 会長 次長 局長 組長 隊員 乗務員 機長 \
         客室乗務員 添乗員 レビュー担当 承認担当 検証担当 運用担当 保守担当 一次対応者 二次対応者 引継先 引継ぎ先 引継元",
    ),
    (Name(Sure), "姓 名"),
    (
        Name(Fair),
        "オペレーター 商談相手 面談相手 交渉相手 通話相手 応対 応対者 取次者 入電者 架電者 発信者 着信者 スーパーバイザー エスカレーション先 レビュワー \
         同行 同席 同乗者 付き添い 付添 立会 立ち会い 代行者 代行 ケアマネージャー ヘルパー 看護担当 介護担当 担当看護師 担当薬剤師 担当教員 担当講師 担当弁護士 担当税理士 担当役員 \
         副担任 顧問 主将 選手 審判 主審 副審 レフェリー 被評価者 評価担当 被面談者 面談担当 聴取者 通報元 紹介元 推薦人 発起人 世話人 世話役 代読 弔辞 来賓 主賓 乾杯 司会進行 \
         息子 娘 甥 姪 友達 友人 親友 彼女 彼氏 婚約者 同級生 二男 二女 監修 脚本 演出 主演 出演 作詞 作曲 編曲 原作 原案 執筆",
    ),
    (
        Name(Weak),
        "ユーザー ユーザ ユーザー名 ユーザ名 ニックネーム 顧客 対象 承認 確認 作成 起案 検印 決裁 記入 起票 文責 検査 点検 操作 実施 記録 申請 回答 \
         歌 訳 著 写真 撮影 編集 構成 語り 朗読 取材 校正 校閲 翻訳 通訳",
    ),
    (Account, "普通 当座 普 当 普通預金 当座預金 口座番号 口座"),
    (
        Address,
        "住所 所在地 居住地 現住所 自宅住所 本籍 本籍地 送付先住所 配送先住所 届け先住所 勤務地住所 連絡先住所 実家 帰省先 転居先 配送先 送付先 お届け先 届け先 納品先 勤務地 自宅",
    ),
    (
        Department,
        "部署 部署名 所属 所属部署 所属先 部門 部門名 配属 配属先 異動先 異動元 担当部署 勤務先部署 所属名 部課 部課名 組織 組織名",
    ),
    (
        Money,
        "年収 月収 年俸 月給 給与 給料 基本給 本給 賞与 ボーナス 時給 日給 手取り 手取 報酬 報酬額 役員報酬 年間報酬 総支給額 総支給 支給額 差引支給額 給与額 賞与額 年収額 月収額 \
         基本給額 給与収入 退職金 残業代 残業手当 役職手当 住宅手当 通勤手当 家族手当 世帯年収 給与所得 初任給 支給総額 給与振込額 昇給額 所得 手当 月額給与 固定給 インセンティブ \
         手取り額 手取額 報酬月額 標準報酬月額",
    ),
    (
        Grade,
        "人事評価 業績評価 能力評価 勤務評価 勤務評定 成績評価 総合評価 最終評価 年度評価 期末評価 上期評価 下期評価 上司評価 査定 人事査定 査定結果 人事考課 考課 考課結果 評価結果 評価ランク \
         査定ランク 人事ランク 評価グレード 社員ランク 評定 目標達成度 一次評価 二次評価 自己評価 等級評価 行動評価 情意評価 評価点 査定評価",
    ),
    (Rating, "評価 ランク グレード 成績 評点"),
    (
        Condition,
        "病歴 既往 既往歴 既往症 持病 病名 傷病名 診断名 主病名 疾患 疾患名 基礎疾患 現病歴 罹患 アレルギー アレルギー歴 食物アレルギー 障害名 障害等級 障がい 障がい等級 障害者等級 \
         障害者手帳 罹患歴 手術歴 通院歴 入院歴 病状 服薬 休職理由 療養理由 病気 疾病 後遺症",
    ),
    (
        Health,
        "判定 健康診断 健康診断結果 健診 健診結果 検診結果 健康状態 検査結果 診断結果 診断 医師所見 所見 ストレスチェック 体調 健康情報 再検査 症状 障害",
    ),
    (
        Secret,
        "暗号キー 暗号化キー 接続キー 接続用キー 共有キー 事前共有キー 認証キー 秘密キー アクセスキー シークレットキー セキュリティキー ネットワークキー 署名キー \
         APIキー LANキー Wi-Fiキー WiFiキー WEPキー WPAキー WPA2キー WPA3キー ライセンスキー プロダクトキー 暗号鍵 共有鍵 事前共有鍵 署名鍵 秘密鍵",
    ),
];

const KEYS: &[(Label, &str)] = &[
    (
        Name(Sure),
        "fullname firstname lastname familyname givenname surname middlename maidenname namekana namekanji kananame kana furigana shimei namae simei sei mei \
         seikana meikana legalname realname personname contactname cardholdername accountholdername holdername firstnamekana lastnamekana \
         lastnamekanji firstnamekanji fullnamekana nameja nameen namejp beneficiaryname romaji romajiname nameromaji romanname meigi meiginin kouzameigi \
         holderkana shimeikana namekatakana nameoncard cardname",
    ),
    (
        Name(Weak),
        "name user username displayname nickname from to cc sender receiver first last owner author by title",
    ),
    (
        Address,
        "address addr homeaddress streetaddress billingaddress shippingaddress mailingaddress postaladdress fulladdress useraddress customeraddress \
         deliveryaddress residence street addressline address1 jusho juusho location domicile shipto deliverto addressjp customeraddr",
    ),
    (
        Department,
        "department dept departmentname deptname division section team busho shozoku divisionname teamname orgunit costcenter affiliation unit group",
    ),
    (
        Money,
        "salary annualsalary monthlysalary basesalary grosssalary netsalary basepay pay payrate bonus annualbonus compensation totalcompensation wage wages \
         hourlywage hourlyrate annualincome monthlyincome income remuneration earnings stipend nenshu gekkyu kyuyo shoyo salaryamount currentsalary \
         expectedsalary startingsalary annualbase grosspay netpay signingbonus retentionbonus incentive salaryjpy severance allowance commission jikyu bonusamount yearlysalary takehome annualpay",
    ),
    (
        Grade,
        "performancerating performancegrade performancereview performancescore evaluation evaluationgrade evaluationrank evaluationscore appraisal \
         appraisalgrade appraisalresult performance employeerating reviewrating reviewgrade hyouka hyoka satei performanceevaluation evaluationresult \
         finalgrade finalrank overallrating overallgrade annualrating annualgrade yearendrating midyearrating annualreview personnelevaluation jobgrade reviewresult finalrating managerrating selfrating kouka",
    ),
    (Rating, "rating grade score rank"),
    (
        Condition,
        "diagnosis diagnoses medicalcondition healthcondition medicalhistory disease illness disability allergy allergies sickness disabilitygrade \
         chroniccondition preexistingcondition byoreki byomei shindan medicaldiagnosis ailment disorder diseasename \
         dx medicalconditions healthissue healthissues medicalnote medicalnotes illnesses diagnosisname diagnosed hospitalized hospitalised",
    ),
    (
        Health,
        "healthstatus checkupresult healthcheck healthcheckresult medicalcheckup healthcheckup healthresult medicalresult checkup condition conditions symptom symptoms",
    ),
];

/// Who a key may speak of; with `name` behind it, it is trusted more.
const ROLES: &str = "customer client contact employee staff person patient recipient applicant assignee approver manager requester requestor reporter member \
     guest student teacher doctor nurse physician holder cardholder accountholder buyer seller supervisor candidate interviewer attendee participant \
     operator agent representative beneficiary guardian spouse tenant subscriber passenger driver visitor attn attention contactperson customercontact \
     assignedto createdby updatedby approvedby requestedby reviewedby reportedby billto signedby submittedby preparedby handledby updater creator reviewer \
     emergencycontact nextofkin insured policyholder tantou tantousha tanto tantosha author owner sender receiver payee payer consignee addressee user \
     invitedby reviewee enrollee claimant resident lecturer organizer organiser host oncall pic responder speaker presenter signatory witness \
     lead director ceo president chief professor lawyer accountant borrower lender donor parent child father mother partner colleague boss worker \
     groom bride landlord landlady lessee lessor trustee executor heir plaintiff defendant mentor mentee trainer captain principal roommate \
     brother sister husband wife son daughter grandmother grandfather chairperson chairman treasurer moderator panelist facilitator interviewee \
     caregiver petitioner complainant signedoffby coauthoredby testedby ackedby suggestedby writtenby issuedby receivedby verifiedby checkedby \
     confirmedby authorizedby authorisedby witnessedby editedby translatedby \
     shippingname billingname shipping billing delivery invoice shipto";

/// Gives each label of Japanese.
pub(super) fn japanese_labels(mut give: impl FnMut(&str, Label)) {
    for (label, words) in JAPANESE {
        for word in words.split_ascii_whitespace() {
            give(word, *label);
        }
    }
}

/// Gives each key, in small letters without what joins its words.
pub(super) fn keys(mut give: impl FnMut(&str, Label)) {
    for (label, words) in KEYS {
        for word in words.split_ascii_whitespace() {
            give(word, *label);
        }
    }
    for role in ROLES.split_ascii_whitespace() {
        give(role, Name(Fair));
        // Machines are called so more often than people.
        if role == "host" {
            continue;
        }
        // "assignees": ["…", "…"]
        if !role.ends_with(['s', 'y', 'd', 'o', 'n', 'u']) && !role.ends_with("ess")
            || role.ends_with("person")
        {
            give(&format!("{role}s"), Name(Fair));
        }
        give(&format!("{role}name"), Name(Sure));
        give(&format!("{role}fullname"), Name(Sure));
    }
}

/// What stands between a label and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Only a space.
    Space,
    /// `は`, `が`, `is`, `of`.
    Word,
    /// A colon, an equals sign, an arrow, an opening bracket.
    Sign,
}

/// Where the value of a label begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) link: Link,
    /// The character that ends the value, when it stands in quotes or brackets.
    pub(super) closer: Option<char>,
}

/// The label that ends at `end`, the longest one, and where it begins.
pub(super) fn label_before(lexicon: &Lexicon, text: &str, end: usize) -> Option<(Label, usize)> {
    let (length, label) = lexicon.labels.longest(text[..end].chars().rev().take(10))?;
    let start = text[..end].char_indices().rev().nth(length - 1)?.0;
    // 姓, 名 and 氏 are ends of many words.
    // クラス名前を変更: of a thing.
    if length == 2
        && text[start..end].starts_with("名前")
        && char_before(text, start).is_some_and(is_katakana)
        && !is_role_before(lexicon, text, start)
    {
        return None;
    }
    let alone = length > 1
        || !char_before(text, start).is_some_and(|c| is_kanji(c) || is_katakana(c) || is_hiragana(c));
    alone.then_some((label, start))
}

/// Whether the word of katakana that ends at `end` says who somebody is: ユーザー名前.
fn is_role_before(lexicon: &Lexicon, text: &str, end: usize) -> bool {
    let window = Window::before(text, end, 12, is_katakana);
    lexicon.word(window.chars()).is(Entry::ROLE)
}

/// The value of the label that ends at `end`.
pub(super) fn value_after(text: &str, end: usize) -> Option<Value> {
    let mut link = None;
    let mut closer = None;
    let end = behind_note(text, end);
    let mut at = end;
    for c in text[end..].chars().take(9) {
        match c {
            ' ' | '\u{3000}' | '\t' => {
                link = link.or(Some(Link::Space));
            }
            // 訳者・金城, 撮影／山本
            '・' | '／' | '/' if link.is_none() && closer.is_none() => link = Some(Link::Space),
            ':' | '：' | '=' | '＝' | '→' | '|' | '｜' | '➡' | '⇒' | '⇨' => {
                link = Some(Link::Sign)
            }
            '>' if link.is_none() => link = Some(Link::Sign),
            'は' | 'が' | 'の' | 'を' if link.is_none() => link = Some(Link::Word),
            '、' | '，' if link == Some(Link::Word) => {}
            // A JSON string within a JSON string.
            '\\' if text[at + 1..].starts_with(['"', '\'']) => {}
            '"' | '\'' | ']' | ')' | '】' | '）' | '」' | '』' | '］' | '*'
                if link.is_none() && closer.is_none() =>
            {
                // Ends the label itself, or opens the value: `"氏名": "…"`, `氏名「…」` are told apart by what follows.
                if c == '"' || c == '\'' {
                    let after = &text[at + 1..];
                    if !after
                        .trim_start_matches(is_space)
                        .starts_with([':', '：', '=', ','])
                    {
                        closer = Some(c);
                        link = Some(Link::Sign);
                    }
                }
                // 【担当】中島
                if matches!(c, '】' | '］') {
                    link = Some(Link::Sign);
                }
            }
            _ => match closing(c) {
                Some(close) if closer.is_none() && !text[..at].ends_with('を') => {
                    closer = Some(close);
                    link = Some(Link::Sign);
                }
                _ => break,
            },
        }
        at += c.len_utf8();
    }
    let link = link?;
    char_at(text, at).filter(|c| *c != '\n').map(|_| Value {
        start: at,
        link,
        closer,
    })
}

/// The place behind a note in brackets that a label ends with, as 氏名（カナ）： has one.
fn behind_note(text: &str, end: usize) -> usize {
    match note_at(text, end, 12) {
        Note::Closed { behind, .. } if text[behind..].starts_with([':', '：', '=', 'を']) => behind,
        _ => end,
    }
}

fn closing(open: char) -> Option<char> {
    Some(match open {
        '"' => '"',
        '\'' => '\'',
        '「' => '」',
        '『' => '』',
        '“' => '”',
        '（' => '）',
        '(' => ')',
        '【' => '】',
        '[' => ']',
        '［' => '］',
        '<' => '>',
        '〈' => '〉',
        '《' => '》',
        _ => return None,
    })
}

/// Where the key ends in front of the colon or equals sign at `at`; `None` if none of ours ends like it.
#[inline]
pub(super) fn end_of_key(lexicon: &Lexicon, bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    // `salary = 1`
    if bytes[..end].ends_with(b" ") {
        end -= 1;
    }
    if let [.., before, b'"' | b'\''] = bytes[..end] {
        end -= 1 + usize::from(before == b'\\');
    } else if let [b'"' | b'\''] = bytes[..end] {
        end = 0;
    }
    (!ends_like_none(lexicon, &bytes[..end])).then_some(end)
}

/// Whether none of our keys ends with the last letters of `key`: most are told by them.
#[inline]
fn ends_like_none(lexicon: &Lexicon, key: &[u8]) -> bool {
    let Some([before, middle, last]) = key.last_chunk() else {
        return false;
    };
    if before.is_ascii_alphabetic() && middle.is_ascii_alphabetic() {
        // A sign at the end ends no key.
        let known = last.is_ascii_alphanumeric() && lexicon.has_key_end(*before, *middle, *last);
        // At the edge of two words, the last one may be a key by itself.
        return !known && before.is_ascii_lowercase() == middle.is_ascii_lowercase();
    }
    let outside = |byte: &u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-' | b'.');
    if outside(middle) {
        return last.is_ascii_alphabetic() && !lexicon.has_key_end(0, 0, *last);
    }
    let both = middle.is_ascii_alphabetic() && last.is_ascii_alphabetic();
    both && outside(before) && !lexicon.has_key_end(0, *middle, *last)
}

/// What the key says that ends `text`.
pub(super) fn key(lexicon: &Lexicon, text: &[u8]) -> Option<Label> {
    let key = &text[text.len().saturating_sub(40)..];
    // From the last letter to the first; at the edge of each word, what the words so far say.
    let mut hash = SEED;
    let mut letters = 0;
    let mut words = 0;
    let mut found = None;
    let mut last = None;
    let mut at = key.len();
    while at > 0 {
        let byte = key[at - 1];
        let letter = byte.is_ascii_alphanumeric();
        if !letter && !matches!(byte, b'_' | b'-' | b'.') {
            break;
        }
        at -= 1;
        if letter {
            hash = step_small(hash, byte | 0x20);
            letters += 1;
            // Most keys end like none of ours.
            if letters == 3 && last.is_none() && lexicon.keys.get(hash).is_none() {
                return None;
            }
        }
        let before = at.checked_sub(1).map_or(b' ', |at| key[at]);
        let turn = byte.is_ascii_uppercase() && before.is_ascii_lowercase();
        if !letter || !turn && before.is_ascii_alphanumeric() {
            continue;
        }
        words += 1;
        if let Some(Some(label)) = lexicon.keys.get(hash) {
            if words == 1 {
                last = Some(label);
            } else {
                found = Some(label);
            }
        }
        if words > 5 {
            return None;
        }
    }
    if found.is_some() || words == 1 {
        return found.or(last);
    }
    // `employee.salary`, `user_address`; but a `file_name` is no name.
    match last? {
        label @ Name(strength) => (strength == Sure).then_some(label),
        Rating | Department => None,
        label => Some(label),
    }
}

/// Where the value begins behind the separator at byte `at`, and what closes it.
pub(super) fn value_of_key(text: &str, at: usize) -> Option<Value> {
    let bytes = text.as_bytes();
    let mut start = at + 1;
    while matches!(bytes.get(start), Some(b' ' | b'\t' | b'[' | b'>')) && start < at + 4 {
        start += 1;
    }
    let mut closer = None;
    if bytes.get(start) == Some(&b'\\') && bytes.get(start + 1) == Some(&b'"') {
        start += 1;
    }
    if let Some(quote @ (b'"' | b'\'')) = bytes.get(start) {
        closer = Some(char::from(*quote));
        start += 1;
    }
    char_at(text, start).filter(|c| *c != '\n').map(|_| Value {
        start,
        link: Link::Sign,
        closer,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_key_is_lost_to_its_last_letters() {
        let lexicon = Lexicon::get();
        keys(|key, _| {
            for key in [key.to_owned(), key.to_uppercase()] {
                for front in ["", " ", "\"", "x_", "\u{3042}"] {
                    let text = format!("{front}{key}");
                    assert!(!ends_like_none(lexicon, text.as_bytes()), "{text}");
                }
            }
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_key_that_ends_like_none_is_none(
            front in "[ \"'_.\\-{a-zA-Z1あ]{0,3}",
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "name", "Name", "NAME", "to", "To", "by", "cc", "dx", "Dx", "sei", "address1", "address", "user", "n", "id", "ts", "X", "1",
                    "salary", "Employee", "member", "of",
                ]),
                0..4,
            ),
            joint in prop::sample::select(vec!["", "_", "-", ".", " "]),
            last in "[a-zA-Z0-9_.\\- ]{0,2}",
        ) {
            let lexicon = Lexicon::get();
            let text = format!("{front}{}{last}", words.join(joint));
            // Behind two letters, a sign ends no key.
            if ends_like_none(lexicon, text.as_bytes()) && !text.ends_with(['_', '-', '.']) {
                prop_assert_eq!(key(lexicon, text.as_bytes()), None, "{}", text);
            }
        }
    }
}
