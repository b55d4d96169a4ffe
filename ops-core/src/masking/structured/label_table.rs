use super::label::Meaning::{self, *};

/// A label, ASCII letters in lower case; `~` stands for at most one of space, `_`, `-`, `.` and `'`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) text: &'static str,
    pub(super) meaning: Meaning,
    /// Whether a `~` is in it.
    pub(super) is_open: bool,
}

const fn entry(text: &'static str, meaning: Meaning) -> Entry {
    let (bytes, mut is_open, mut index) = (text.as_bytes(), false, 0);
    while index < bytes.len() {
        is_open |= bytes[index] == b'~';
        index += 1;
    }
    Entry {
        text,
        meaning,
        is_open,
    }
}

macro_rules! labels {
    ($($meaning:ident: $($text:literal)*;)*) => {
        /// Every label that a number may have before it.
        pub(super) static LABELS: &[Entry] = &[$($(entry($text, $meaning),)*)*];
    };
}

labels! {
    MyNumber:
        "マイナンバー" "ﾏｲﾅﾝﾊﾞｰ" "マイナンバーカード" "マイナンバーカード番号" "個人番号" "個人番号カード" "マイナ番号" "社会保障・税番号"
        "my~number" "my~number~card" "my~no" "individual~number" "kojin~bango" "kojinbangou" "personal~number" "mynum"
        "共通番号" "個人ナンバー" "ﾏｲﾅﾝﾊﾞｰ" "ﾏｲﾅﾝﾊﾞｰｶｰﾄﾞ" "通知カード" "通知カード番号" "tax~id" "社会保障番号" "マイナンバー番号" "mn~no";
    Corporate:
        "法人番号" "法人ナンバー" "会社法人等番号" "corporate~number" "corporate~no" "corp~number" "corp~no" "houjin~bango"
        "houjin~bangou" "hojin~bango" "corporation~number" "法人no" "company~number" "法人マイナンバー" "登録番号" "インボイス番号"
        "適格請求書発行事業者登録番号" "corporate~id" "法人id" "事業者番号" "corporate~num" "企業番号" "houjin~no" "company~registration~number";
    Licence:
        "免許証番号" "免許番号" "免許証" "運転免許" "運転免許証" "免許" "運転免許証番号" "免許証の番号" "免許no" "免許証no"
        "driver~s~license" "driver~license" "drivers~license" "driver~s~licence" "drivers~licence" "driver~licence" "license~no"
        "license~number" "licence~no" "licence~number" "driving~license" "driving~licence" "dl~no" "dl~number" "dl" "dln" "license#"
        "drivers~license~no" "drivers~license~number" "driver~s~license~number" "driver~s~license~no" "driver~license~number"
        "driver~license~no" "menkyo" "menkyo~no" "menkyo~bango" "license~num" "driving~license~number" "driving~licence~number"
        "driving~license~no" "driving~licence~no" "driver~licence~number" "driver~s~licence~number" "license~id" "driver~license~id"
        "運免" "license" "licence";
    Passport:
        "旅券" "旅券番号" "パスポート" "パスポート番号" "旅券no" "パスポートno" "passport" "passport~no" "passport~number" "passport~num"
        "passport~id" "パスポートの番号" "ﾊﾟｽﾎﾟｰﾄ" "ﾊﾟｽﾎﾟｰﾄ番号" "travel~document" "travel~document~no" "passport#" "ppt~no" "pp~no" "ryoken";
    Health:
        "保険証" "保険証番号" "保険者番号" "被保険者番号" "被保険者" "被保険者証" "被保険者証番号" "健康保険" "健康保険証" "健保" "国保"
        "健康保険番号" "保険番号" "資格確認書" "健康保険被保険者証" "後期高齢" "組合員証" "被保険者記号" "保険証の番号" "共済組合"
        "health~insurance" "health~insurance~no" "health~insurance~number" "insurance~no" "insurance~number" "insurance~card"
        "insurance~id" "insurer~no" "insurer~number" "insured~no" "insured~number" "health~insurance~id" "insurance~card~no"
        "insurance~card~number" "hoken~no" "hokensho" "hoken~bango" "insurer~id" "health~id" "hi~no" "health~card" "insurance~policy~no"
        "insured~person~number" "insured~person~no" "insurance~num" "kenpo" "health~insurance~card" "被保険者等記号" "国民健康保険"
        "health~insurance~num" "枝番" "保険記号" "記号番号" "記号・番号" "保険証記号番号" "保険証の記号番号" "hokensha" "hokensha~bango" "hokensha~no";
    Bank:
        "口座" "口座番号" "普通" "当座" "貯蓄" "普通預金" "当座預金" "普通口座" "振込先" "口座no" "振込口座" "銀行口座" "預金口座" "振替口座"
        "貯蓄預金" "普通預金口座" "ゆうちょ" "ゆうちょ銀行" "郵便貯金" "貯金" "引落口座" "受取口座" "通常貯金" "定期預金" "総合口座" "(普)" "(当)" "（普）" "（当）" "ｺｳｻﾞ" "ｺｳｻﾞ番号" "ﾌﾂｳ"
        "口座の番号" "返金先" "入金先" "給与振込先" "振込先口座番号"
        "account~no" "account~number" "acct~no" "acct~number" "acct" "bank~account" "bank~account~no" "bank~account~number" "bank~acct"
        "account~num" "acc~no" "a/c" "a/c~no" "a/c~number" "kouza" "koza~no" "kouza~bango" "iban" "savings~account" "checking~account"
        "ordinary~account" "ordinary" "checking" "current~account" "deposit~account" "account#" "acct#" "savings" "koza~bango" "koza" "futsu"
        "bank~no" "bank~account~id" "payout~account" "transfer~account" "bank~acc";
    Card:
        "カード番号" "クレジットカード" "クレジットカード番号" "クレカ" "クレカ番号" "カードno" "カード" "カードナンバー" "ｶｰﾄﾞ番号" "ｸﾚｼﾞｯﾄｶｰﾄﾞ" "決済カード"
        "card~no" "card~number" "credit~card" "credit~card~no" "credit~card~number" "cc~no" "cc~number" "card~num" "ccnum" "card" "pan"
        "debit~card" "payment~card" "visa" "mastercard" "jcb" "amex" "card#" "cc" "デビットカード";
    Phone:
        "電話" "電話番号" "ﾃﾞﾝﾜ" "携帯" "携帯電話" "携帯番号" "携帯電話番号" "連絡先" "連絡先番号" "緊急連絡先" "内線" "ファックス" "ファクス" "固定電話"
        "tel" "tel~no" "telephone" "phone" "phone~no" "phone~number" "mobile" "mobile~no" "mobile~number" "cell" "cell~phone" "fax"
        "fax~no" "contact~no" "contact~number" "home~phone" "work~phone" "tel~number" "telephone~number" "telephone~no" "自宅"
        "勤務先" "phone#" "sms" "whatsapp" "お電話" "ご連絡先" "msisdn" "caller" "callee" "caller~id" "fax~number" "phone~num"
        "電話no" "直通" "代表" "代表電話" "cellphone" "dial" "通話先" "発信者番号" "発信元" "着信" "sms~to" "電話番号1" "電話番号2" "tel1" "tel2"
        "フリーダイヤル" "フリーコール";
    Postal:
        "〒" "郵便番号" "postal~code" "postcode" "post~code" "zip" "zip~code" "postal" "郵便no" "郵便" "yubin" "yubin~bango" "yuubin~bangou"
        "住所" "所在地" "address" "送付先" "届け先" "お届け先" "配送先" "post~no" "postal~no" "zipcode" "postalcode" "yubin~no" "本籍" "居所" "現住所";
    Employee:
        "社員番号" "社員id" "社員no" "従業員番号" "従業員id" "従業員no" "職員番号" "職員id" "職員no" "社番" "職番" "社員コード" "従業員コード"
        "職員コード" "スタッフ番号" "スタッフid" "スタッフコード" "社員証番号" "社員証" "個人コード"
        "employee~id" "employee~no" "employee~number" "employee~num" "employee~code" "emp~id" "emp~no" "emp~number" "emp~num" "emp~code"
        "staff~id" "staff~no" "staff~number" "staff~code" "personnel~no" "personnel~number" "personnel~id" "worker~id" "badge~no"
        "badge~number" "badge~id" "shain~no" "shain~bango" "shain~id" "shain~bangou" "employee" "employee#" "emp#" "emp" "staff#" "badge"
        "社員" "従業員" "職員" "スタッフ" "工員番号" "隊員番号" "payroll~no" "payroll~number" "payroll~id" "staff~num" "empid" "eid" "社員ナンバー" "行員番号" "行員id" "乗務員番号" "係員番号" "局員番号"
        "従業員ナンバー" "社員識別番号" "社員識別子";
    Secret:
        "ﾊﾟｽﾜｰﾄﾞ" "仮ﾊﾟｽﾜｰﾄﾞ" "初期ﾊﾟｽﾜｰﾄﾞ" "ﾜﾝﾀｲﾑﾊﾟｽﾜｰﾄﾞ" "ﾛｸﾞｲﾝﾊﾟｽﾜｰﾄﾞ" "ﾊﾟｽﾌﾚｰｽﾞ" "ﾄｰｸﾝ" "ｱｸｾｽﾄｰｸﾝ" "ｼｰｸﾚｯﾄ" "ｼｰｸﾚｯﾄｷｰ" "ｱｸｾｽｷｰ" "apiｷｰ" "認証ｺｰﾄﾞ"
        "確認ｺｰﾄﾞ" "pinｺｰﾄﾞ" "ｾｷｭﾘﾃｨｺｰﾄﾞ"
        "パスワード" "暗証番号" "暗証" "シークレット" "トークン" "秘密鍵" "apiキー" "アクセスキー" "シークレットキー" "秘密キー" "認証キー"
        "アクセストークン" "認証トークン" "パスフレーズ" "合言葉" "ワンタイムパスワード" "仮パスワード" "初期パスワード" "認証コード" "暗号鍵"
        "クライアントシークレット" "暗号化キー" "apiトークン" "api鍵" "リフレッシュトークン" "接続キー" "署名鍵" "共有鍵" "セキュリティコード"
        "暗号キー" "接続用キー" "共有キー" "事前共有鍵" "事前共有キー" "セキュリティキー" "ネットワークキー" "無線lanキー" "wi-fiキー" "wifiキー" "wepキー"
        "wpaキー" "wpa2キー" "wpa3キー" "ライセンスキー" "プロダクトキー" "pinコード" "確認コード" "解凍パス" "ログインパス"
        "pre~shared~key" "wifi~key" "wi-fi~key" "network~key" "wep~key" "wpa~key" "wpa2~key" "verification~code" "one~time~code" "authentication~code" "auth~code"
        "password" "passwd" "pwd" "passphrase" "passcode" "secret" "token" "api~key" "access~key" "secret~key" "client~secret" "private~key"
        "auth~token" "access~token" "refresh~token" "bearer" "basic" "signing~key" "encryption~key" "api~token" "api~secret" "secret~access~key"
        "bot~token" "id~token" "auth~key" "credential" "credentials" "shared~secret" "webhook~secret" "app~secret" "consumer~secret"
        "account~key" "shared~access~key" "master~key" "service~key" "session~token" "security~token" "license~key" "ssh~key" "pin" "pin~code"
        "pin~no" "cvv" "cvc" "otp" "x~api~key" "apikey" "secretkey" "authtoken" "accesskey" "accesstoken" "api~key~id" "deploy~key" "hmac~key"
        "jwt" "session~secret" "cookie~secret" "app~key" "subscription~key" "function~key" "storage~key" "secret~token" "csrf~token"
        "personal~access~token" "aws~secret" "db~pass" "pw" "passwords" "pass" "鍵" "jwt~secret" "oauth~token" "user~password" "client~key";
    Symbol:
        "記号" "kigo" "kigou" "symbol";
    Other:
        "注文番号" "受注番号" "発注番号" "注文id" "注文no" "オーダー番号" "伝票番号" "追跡番号" "送り状番号" "送り状" "お問い合わせ番号" "問合せ番号"
        "問い合わせ番号" "請求書番号" "請求番号" "領収書番号" "領収番号" "レシート" "レシート番号" "取引番号" "取引id" "決済番号" "決済id" "予約番号"
        "会員番号" "会員id" "顧客番号" "顧客id" "お客様番号" "お客さま番号" "お客様コード" "受付番号" "受付id" "管理番号" "整理番号" "申込番号" "申請番号"
        "契約番号" "証券番号" "商品番号" "商品コード" "商品id" "品番" "型番" "シリアル番号" "シリアル" "製造番号" "ロット番号" "ロット" "バーコード"
        "janコード" "jan" "伝票" "荷物番号" "貨物番号" "配送番号" "出荷番号" "見積番号" "見積書番号" "案件番号" "チケット番号" "チケット" "課題番号"
        "バージョン" "ファームウェア" "ビルド" "リビジョン" "資産番号" "機器番号" "端末番号" "車両番号" "店番" "店番号" "支店番号" "支店コード" "銀行コード"
        "金融機関コード" "在庫" "在庫数" "合計" "金額" "価格" "売上" "請求額" "部品番号" "図面番号" "ジョブ番号" "連番" "通番" "工事番号" "議事録番号"
        "審査番号" "診察券番号" "患者番号" "学籍番号" "受験番号" "処理番号" "トランザクション" "トランザクションid" "リクエストid" "セッションid" "ハッシュ"
        "コミット" "エラーコード" "エラー番号" "ポイント番号" "抽選番号" "座席番号" "便名" "ページ" "件数" "残高" "部署コード" "部門コード" "文書番号"
        "特許番号" "公開番号" "出願番号" "承認番号" "許可番号" "届出番号" "認可番号" "検査番号" "試験番号" "写真番号" "棚番" "棚番号" "倉庫番号"
        "order" "order~id" "order~no" "order~number" "order#" "order~num" "tracking" "tracking~no" "tracking~number" "tracking~id" "tracking#"
        "invoice" "invoice~no" "invoice~number" "invoice~id" "invoice#" "receipt" "receipt~no" "receipt~number" "receipt~id" "transaction"
        "transaction~id" "transaction~no" "txn" "txn~id" "tx~id" "payment~id" "booking~no" "booking~id" "reservation~no" "reservation~id"
        "customer~id" "customer~no" "customer~number" "member~id" "member~no" "membership~no" "ticket" "ticket~id" "ticket~no" "ticket#" "case~id"
        "case~no" "issue" "issue#" "pr" "request~id" "req~id" "trace~id" "span~id" "correlation~id" "session~id" "serial" "serial~no"
        "serial~number" "sku" "sku~code" "ean" "upc" "isbn" "issn" "jan~code" "barcode" "lot" "lot~no" "lot~number" "batch" "batch~id" "product~id"
        "product~code" "item~id" "item~no" "part~no" "part~number" "model~no" "model" "version" "ver" "build" "build~no" "release" "revision" "rev"
        "firmware" "commit" "hash" "sha" "checksum" "epoch" "timestamp" "ts" "time" "date" "job" "job~id" "pid" "tid" "thread" "process" "port"
        "offset" "amount" "total" "price" "subtotal" "balance" "quantity" "qty" "count" "size" "bytes" "duration" "elapsed" "latency" "took" "uuid"
        "guid" "etag" "seq" "sequence" "message~id" "event~id" "user~id" "uid" "imei" "imsi" "iccid" "mac" "vin" "po~number" "po~no" "reference"
        "reference~no" "ref~no" "ref" "reference~number" "shipment" "shipment~id" "parcel" "waybill" "delivery~no" "delivery~id" "contract~no"
        "contract~id" "policy~no" "student~id" "patient~id" "group~id" "account~id" "branch~no" "branch~code" "bank~code" "routing~number"
        "routing~no" "swift" "file~id" "page~id" "device~id" "asset~id" "asset~no" "node~id" "host~id" "run~id" "task~id" "log~id" "row~id"
        "record~id" "entry~id" "step" "line" "row" "limit" "max" "min" "timeout" "retry" "retries" "error~code" "status" "code" "exit~code"
        "confirmation~code" "confirmation~no" "confirmation~number" "application~no" "application~id" "quote~no" "flight" "gate" "seat" "room"
        "stock" "inventory" "warehouse~id" "bin~id" "shelf" "position" "index" "id";
}
