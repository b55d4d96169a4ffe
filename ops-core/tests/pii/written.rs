//! Forms and places of numbers that people wrote who had not seen the rules: each is found to the byte, and nothing else.

use ops_core::masking::Detector;
use ops_core::model::PiiType;

/// `⟦health_insurance:1234⟧` is a value.
const LINES: &[&str] = &[
    "保険証の記号番号「⟦health_insurance:31204311・10⟧」が読めません",
    "記号・番号:⟦health_insurance:3696・57643⟧(本人)、資格取得日 令和5年4月23日",
    "被保険者証の記号 ⟦health_insurance:8245⟧、番号 ⟦health_insurance:669177⟧ を確認しました",
    "保険者番号（８桁）　⟦health_insurance:３４１５９８０６⟧",
    "patient.hoken: hokensha=⟦health_insurance:34483710⟧, kigo=⟦health_insurance:11918361⟧, bango",
    "口座番号が⟦bank_account:1664881⟧から⟦bank_account:8173088⟧に変わりました",
    "口座番号（7桁） ⟦bank_account:1664881⟧",
    r#"{"doc_type":"drivers_license","doc_no":"⟦drivers_license:427505840093⟧"}"#,
    "kyc.doc_type=drivers_license kyc.doc_no=⟦drivers_license:902225377371⟧ kyc.result=pass",
    r#"{"運転免許証": {"番号": "第⟦drivers_license:449248289671⟧号"}}"#,
    "- license: ⟦drivers_license:973003144260⟧",
    "ご提示の13桁⟦corporate_number:8469023660493⟧は法人番号公表サイトで確認できました",
    r#"{"actor":"⟦employee_id:emp-11027⟧","action":"EXPORT"}"#,
    "キー (phone)=(⟦phone:+817051393915⟧) はすでに存在します",
    "tel ⟦phone:(+81) 3-1234-5678⟧ は代表",
    "Wi-Fiの暗号キーは「⟦api_key:VUhg6t3MhHjvNK⟧」、SSIDは guest-29 です。",
    "無線LANキー ⟦api_key:VUhg6t3MhHjvNK⟧",
    "事前共有鍵は⟦api_key:VUhg6t3MhHjvNK⟧に設定",
    "APIキーを⟦api_key:VUhg6t3MhHjvNK⟧に変更",
    "セキュリティキー：⟦api_key:VUhg6t3M⟧",
    "暗号キーは32文字以上で設定、キーはorder-2024-09です",
    "セキュリティキーはhttps://a.example/k9x8から",
    "pre-shared key: ⟦api_key:VUhg6t3MhHjvNK⟧",
    "PINコード：⟦api_key:4821⟧ 確認コードは⟦api_key:482913⟧です",
    "Your verification code is ⟦api_key:482913⟧",
    "The password has been reset to ⟦api_key:Qw3rty!9⟧.",
    "The password was set to expire in 90 days",
    "送信元IP⟦ip:192.168.64.86⟧、接続元ＩＰ⟦ip:１９２．０．２．１⟧",
    "zip192.0.2.1 TCPIP192.0.2.1",
    "社員番号⟦employee_id:10293⟧、⟦employee_id:10294⟧と⟦employee_id:10295⟧、4桁",
    "社員番号 ⟦employee_id:S-1029⟧, ⟦employee_id:S-1030⟧, T1030, 2024",
    "行員番号：⟦employee_id:123456⟧",
    "⟦employee_id:S0012524⟧,⟦person:久松 大翔⟧,⟦department:購買部⟧,⟦confidential:D⟧",
    "\"⟦employee_id:A-1056⟧\",\"⟦person:斉藤 紀子⟧\",\"⟦department:広報室⟧\",\"⟦confidential:B-⟧\"",
    "20240102,⟦person:斉藤 紀子⟧,⟦department:広報室⟧,5",
    "DB_PASSWORD=${DB_PASSWORD:?required}",
    "DB_PASSWORD=${DB_PASSWORD:-⟦api_key:s3cret-Value9⟧}",
    "curl -H \"Authorization: Bearer $TOKEN\"",
    "main: password = (sensitive value), endpoint",
    "fw ⟦ip:192.0.2.1⟧ denied",
    "dispatch ⟦ip:192.0.2.9⟧ failover ⟦ip:192.0.2.10⟧ prev ⟦ip:192.0.2.11⟧",
    "build 10.0.22.1 ⟦ip:192.0.2.12⟧ connected",
    "password=⟦api_key:(x9!kP2⟧ ok",
    "password=⟦api_key:$S3CRET⟧ ok",
    "retry with bearer=⟦api_key:abc123def456⟧ at 12:00",
    r#"{"bearer":"⟦api_key:abc123def456⟧","n":1}"#,
    "Bearer: ⟦api_key:abc123def456⟧",
    "order=abc123def456 user: abc123def456 number = abc123def456",
    "bearer: ⟦phone:+81-90 1234 5678⟧",
    "bearer: ⟦phone:+44-20 7946 0958⟧ ok",
    "secret=⟦phone:+1-212-555 0123⟧",
    "password: ⟦phone:090 1234 5678⟧",
    "token: ⟦credit_card:4111 1111 1111 1111⟧",
    "password: ⟦credit_card:4111 1111 1111 1111⟧",
    "the bearer ⟦credit_card:4111 1111 1111 1111⟧",
    "token: ⟦my_number:1234 5678 9018⟧",
    "boarding pass ⟦phone:090 1234 5678⟧",
    "password: ⟦api_key:090-1234-5678⟧ pin: ⟦api_key:1234⟧, 3 of 5",
    "User { password: Some(\"⟦api_key:hunter2x⟧\"), token: Some(\"⟦api_key:abc123def456⟧\") }",
    "password: Some(⟦api_key:hunter⟧), token=Some(⟦api_key:abc123def456⟧)",
    "password: Some(\"[REDACTED]\"), token: None",
    "employee.no=⟦employee_id:A10293⟧",
    "order.no=112233445566",
    "WBS 8.99.8.8 帳票設計：進捗 95.3%",
    "server ⟦ip:172.16.59.183⟧:8443 weight=5 max_fails=3;",
    r#"{"kernelVersion":"10.0.22.1"}"#,
    "見出し番号 3.2.1.4 を 3.2.2.1 に直す",
    "接続元 ⟦ip:192.0.2.4⟧ を ⟦ip:192.0.2.5⟧ に",
    "在庫3か月、5か所",
    "⟦employee_id:EMP_20418⟧ has left, order ORD_20418 stays",
    "社員番号：⟦employee_id:S_00412⟧",
    "EMP_001.csv and emp_2024 are files, ⟦employee_id:EMP-2024⟧ and ⟦employee_id:emp_20240⟧ are people",
    "株式会社ミドリ,⟦corporate_number:7000012050002⟧,大阪",
    "ボールペン,7000012050002,大阪",
    "株式会社ミドリ,4901234567894,大阪",
    "\"田中\",\"⟦postal_code:100-0001⟧\",\"東京都千代田区\"",
    "\"1000001\",\"東京都\"",
    "password: ⟦api_key:hunter2x&5555⟧⟦credit_card: 5555 5555 4444⟧",
    "?forgotpassword=sent&show_password=true&reset-password=⟦api_key:Abc12345⟧&newpassword=⟦api_key:hunter⟧",
    "showpassword: function",
    "mysql -p/--password",
    "staff_id=⟦employee_id:st_4412⟧ row_4412 node_0042",
    "社員テーブル row_4412 を更新",
    "$ mysqldump -u app -p⟦api_key:Tr0ub4dor&3⟧ app",
    "curl -u ops:⟦api_key:hunter2⟧ http://db.example.com",
    "export PGPASSWORD=⟦api_key:hunter2⟧",
    "SMTP_PASS=⟦api_key:hunter2⟧ DB_PASS=⟦api_key:hunter3⟧",
    "<password>⟦api_key:hunter2⟧</password><port>5432</port>",
    r#"<add key="DbPassword" value="⟦api_key:hunter2⟧" />"#,
    r#"<add key="ApiKey" value="⟦api_key:a1B2c3D4e5F6g7H8i9⟧" />"#,
    r#"<add key="OrderId" value="a1B2c3D4e5F6g7H8i9" />"#,
    "Set-Cookie: session=⟦api_key:3f9a8b7c6d5e4f3a⟧; Path=/; HttpOnly",
    "Cookie: theme=dark2; connect.sid=⟦api_key:s%3A3f9a8b7c6d5e⟧; csrf_token=⟦api_key:9f8e7d6c5b4a⟧",
    "password = os.environ[\"DB_PASSWORD\"]",
    "Cookie: card=⟦credit_card:4111111111111111⟧; mail=⟦email:taro@example.com⟧; tel=⟦phone:090-1234-5678⟧; session=⟦api_key:3f9a8b7c6d5e⟧",
    "Cookie: password=⟦api_key:hunter2⟧; sid=⟦api_key:3f9a8b7c6d5e⟧",
    "password=⟦api_key:settings.secret⟧",
    "password=⟦api_key:abc(def⟧)",
    "password = settings.DB_PASSWORD",
    "$ mysql -u app db && docker run -p8080:80 web",
    "まず `mysql -u root -p` でログインし、`use app` を実行します。",
    r#"{"html":"<password>","other":"</b>"}"#,
    "<password>必須</password>",
    "password=#{vault('db')}",
    "password=%DB_PASSWORD%",
    "ﾏｲﾅﾝﾊﾞｰ:⟦my_number:123456789018⟧",
    "青葉銀行 本店（普）⟦bank_account:1664881⟧",
    "〒の欄は ⟦postal_code:150-0002⟧ です",
    "〒 と書いて 1500002 個",
    "⟦credit_card:4111 1111 1111 1111⟧ ⟦phone:090 1234 5678⟧",
    "10,000 12,345,678 1,090 円",
    r#"{"m":"password:\ntoken: ⟦api_key:abc123def456⟧"}"#,
    r#"{"m":"Authorization: Bearer\nX-Key: abc123def456"}"#,
    r#"{"m":"enter password:\nmysql -u root -p⟦api_key:hunter2⟧"}"#,
    r#"{"password":"⟦api_key:hun\"ter2x⟧"}"#,
    r#"{"env":"SECRET=⟦api_key:abcdef⟧\nTEL=⟦phone:090-1234-5678⟧"}"#,
    r#"{"cmd":"mysql -u root -p\"⟦api_key:hunter2⟧\" app"}"#,
    r#"{"m":"curl -u \"admin:⟦api_key:hunter2x⟧\" http://x"}"#,
    r#"msg="exec mysql -u a -p\"⟦api_key:hunter2x⟧\" db""#,
    r#"password: Secret("⟦api_key:hunter2⟧")"#,
    r#"password: Some(Secret("⟦api_key:hunter2⟧"))"#,
    r#"password: Some(token("⟦api_key:hunter2⟧"))"#,
    r#"api_key: Some(ApiKey("⟦api_key:abcdef123456⟧"))"#,
    r#"password: Secret { value: "⟦api_key:hunter2⟧" }"#,
    r#"password=base64.b64decode("⟦api_key:aHVudGVyMg⟧")"#,
    r#"password=b"⟦api_key:hunter2⟧""#,
    r#"password: Secret("[API_KEY]")"#,
    r#"password = os.getenv("DB_PASSWORD")"#,
    r#"Token::Ident("x")"#,
    "password::hash failed",
    "use crate::token::{Token, Kind};",
    "password:\t⟦api_key:hunter2x9⟧",
    "password=\t⟦api_key:hunter2x9⟧",
    "password:      ⟦api_key:hunter2x9⟧",
    "DB_PASSWORD      = \"⟦api_key:hunter2x9⟧\"",
    "password := \"⟦api_key:hunter2⟧\"",
    "password := next()",
    "base-passwd (3.5.3) unstable",
];

#[test]
fn numbers_are_found_where_people_write_them() {
    let detector = Detector::new();
    for line in LINES {
        let mut text = String::new();
        let mut expected = Vec::new();
        let mut rest = *line;
        while let Some((before, after)) = rest.split_once('⟦') {
            let (marked, after) = after.split_once('⟧').unwrap();
            let (kind, value) = marked.split_once(':').unwrap();
            text.push_str(before);
            let start = text.len();
            text.push_str(value);
            let kind: PiiType = serde_json::from_value(kind.to_uppercase().into()).unwrap();
            expected.push((start..text.len(), kind));
            rest = after;
        }
        text.push_str(rest);
        let found: Vec<_> = detector
            .detect(&text)
            .iter()
            .map(|span| (span.start..span.end, span.kind))
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_long_secret_is_found_whole() {
    let long = "aB3dE6gH9j".repeat(700);
    for (before, after) in [
        ("Authorization: Bearer ", " ok"),
        ("SECRET_KEY=", ""),
        ("{\"client_secret\":\"", "\"}"),
        ("mysql -u root -p", " app"),
        ("curl -u admin:", " http://x"),
        ("password is ", ""),
    ] {
        let text = [before, &long, after].concat();
        let found: Vec<_> = Detector::new()
            .detect(&text)
            .iter()
            .map(|span| (span.start, span.end))
            .collect();
        assert_eq!(found, [(before.len(), before.len() + long.len())], "{before}");
    }
}
