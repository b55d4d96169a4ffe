//! What is the matter with a database, and what is done about it.

use crate::model::{DatabaseCause, Text};

/// What it is.
pub fn cause_text(cause: DatabaseCause) -> Text {
    let (ja, en) = match cause {
        DatabaseCause::BadUrl => ("接続文字列の誤り", "the connection string is wrong"),
        DatabaseCause::UnknownHost => ("ホスト名を解決できない", "the name of the host is not known"),
        DatabaseCause::ServerDown => (
            "データベースが停止している、または別の場所にある",
            "the server is down, or somewhere else",
        ),
        DatabaseCause::NoAnswer => (
            "応答がない（ネットワーク、ファイアウォール、過負荷）",
            "no answer: network, firewall, or a server that is overwhelmed",
        ),
        DatabaseCause::Tls => (
            "TLS の失敗（証明書、sslmode）",
            "TLS fails: certificate, or sslmode",
        ),
        DatabaseCause::Credentials => ("認証情報の誤り", "the credentials are wrong"),
        DatabaseCause::WrongDatabase => (
            "データベースがない、または接続権限がない",
            "the database is not there, or not for this role",
        ),
        DatabaseCause::NotReady => ("起動中・停止中・復旧中", "it starts, stops or recovers"),
        DatabaseCause::ConnectionsExhausted => ("接続数の上限に達した", "no connection is free"),
        DatabaseCause::Unreachable => (
            "接続できない（原因不明）",
            "it cannot be reached, for a reason that is not known",
        ),
        DatabaseCause::ConnectionsFull => (
            "接続数が上限の 90 % 以上",
            "90 % of the connections or more are taken",
        ),
        DatabaseCause::Blocked => ("ロック待ちの連鎖", "sessions wait for the locks of others"),
        DatabaseCause::ReadOnly => ("読み取り専用モード中", "read-only mode is on"),
        DatabaseCause::ConnectionsTight => (
            "接続数が上限の 80 % 以上",
            "80 % of the connections or more are taken",
        ),
        DatabaseCause::IdleInTransaction => (
            "何もしないトランザクションの放置",
            "transactions are left open and do nothing",
        ),
        DatabaseCause::LongRunning => ("長時間のクエリ", "statements run for long"),
        DatabaseCause::Prepared => (
            "準備済みトランザクションの放置",
            "prepared transactions were left behind",
        ),
        DatabaseCause::ReplicationBehind => ("レプリケーションの遅れ", "replication is behind"),
        DatabaseCause::SlowStatements => (
            "非効率なクエリ・インデックス不足",
            "statements are inefficient, or an index is missing",
        ),
        DatabaseCause::Bloat => ("テーブルの肥大化", "tables are mostly empty"),
    };
    Text::new(ja, en)
}

/// Whom it hits.
pub fn cause_scope(cause: DatabaseCause) -> Text {
    let (ja, en) = match cause {
        DatabaseCause::Blocked => (
            "待たされているセッションの画面と処理。待ちが増えると接続が埋まり、全体に及ぶ",
            "what the waiting sessions serve; as they pile up they take the connections of everybody",
        ),
        DatabaseCause::ReadOnly => (
            "書き込むすべての機能。読み取りは続く",
            "every feature that writes; reading goes on",
        ),
        DatabaseCause::ConnectionsFull => ("次の混雑で新しい接続が拒否される", "the next burst is refused"),
        DatabaseCause::ConnectionsTight => (
            "今は影響なし。混雑すると拒否が始まる",
            "nobody yet; refusals begin with a burst",
        ),
        DatabaseCause::IdleInTransaction | DatabaseCause::Prepared => (
            "同じ行・表を使う処理。掃除 (vacuum) もできない",
            "whoever needs the same rows or tables; dead rows cannot be cleaned up either",
        ),
        DatabaseCause::LongRunning | DatabaseCause::SlowStatements => (
            "そのクエリを使う機能。CPU とディスクを通じて全体が遅くなる",
            "the features that use the statement; everybody through processor and disk",
        ),
        DatabaseCause::ReplicationBehind => (
            "レプリカを読む機能（古い値）。スロットは WAL でディスクを埋める",
            "what reads the replica (old values); a slot fills the disk with log",
        ),
        DatabaseCause::Bloat => (
            "その表を読む処理とディスクの残量",
            "whatever reads the table, and the room on the disk",
        ),
        _ => (
            "データベースを使う全機能。1 台だけか全台か、他のインスタンスから同じコマンドで確かめる",
            "every feature that uses the database; run the same command elsewhere to see whether it is one machine or all",
        ),
    };
    Text::new(ja, en)
}

/// What tells it from its neighbours.
pub fn cause_triage(cause: DatabaseCause) -> Text {
    let (ja, en) = match cause {
        DatabaseCause::BadUrl => (
            "環境変数の値の形式 postgres://user:password@host:port/database を確認",
            "compare the variable's value with postgres://user:password@host:port/database",
        ),
        DatabaseCause::UnknownHost => (
            "DNS の設定、ホスト名の綴り、プラットフォームの移行告知を確認",
            "check DNS, the spelling of the host, and whether the platform moved it",
        ),
        DatabaseCause::ServerDown => (
            "プラットフォームの状態ページ、サーバーのログ、ホストとポートを確認",
            "check the platform's status page, the server's log, host and port",
        ),
        DatabaseCause::NoAnswer => (
            "別のネットワークから接続できるか、ファイアウォールの変更、CPU とディスクを確認",
            "try from another network; check firewall changes, processor and disk",
        ),
        DatabaseCause::Tls => (
            "証明書の期限と発行元、sslmode、サーバーの時刻を確認",
            "check the certificate's end and issuer, sslmode, and the server's clock",
        ),
        DatabaseCause::Credentials => (
            "パスワードの更新履歴、pg_hba.conf、ロールの LOGIN と有効期限を確認",
            "check who changed the password, pg_hba.conf, LOGIN and VALID UNTIL of the role",
        ),
        DatabaseCause::WrongDatabase => (
            "データベース名と CONNECT 権限を確認。復元やリネームの直後ではないか",
            "check the database's name and CONNECT; was it just restored or renamed?",
        ),
        DatabaseCause::NotReady => (
            "サーバーのログで、再起動・復旧・フェイルオーバーのどれかを確認",
            "see in the server's log whether it restarts, recovers or fails over",
        ),
        DatabaseCause::ConnectionsExhausted
        | DatabaseCause::ConnectionsFull
        | DatabaseCause::ConnectionsTight => (
            "ロール別の接続数、直前のデプロイ、インスタンス数 × プールの大きさを確認",
            "check connections by role, the last deployment, and instances times pool size",
        ),
        DatabaseCause::Unreachable => (
            "サーバーのログと状態ページを確認",
            "check the server's log and the status page",
        ),
        DatabaseCause::Blocked => (
            "連鎖の根が何をしているか（移行、一括更新、放置）を確認",
            "see what the root of the chain does: a migration, a bulk update, nothing at all",
        ),
        DatabaseCause::ReadOnly => (
            "誰がなぜ有効にしたかを実行の記録で確認。意図的なら解除しない",
            "see in the runs who turned it on and why; what was meant is not lifted",
        ),
        DatabaseCause::IdleInTransaction => (
            "アプリ名から、コミットし忘れや外部 API 待ちの箇所を特定",
            "find by the application's name what forgets to commit, or waits for somebody else meanwhile",
        ),
        DatabaseCause::LongRunning | DatabaseCause::SlowStatements => (
            "EXPLAIN (ANALYZE, BUFFERS) で全表走査と統計のずれを確認（複製した環境で）",
            "look with EXPLAIN (ANALYZE, BUFFERS), on a copy, for scans of whole tables and old statistics",
        ),
        DatabaseCause::Prepared => (
            "pg_prepared_xacts で、誰がいつ作ったかを確認",
            "see in pg_prepared_xacts who made it, and when",
        ),
        DatabaseCause::ReplicationBehind => (
            "レプリカの負荷、ネットワーク、使われていないスロットを確認",
            "check the load of the replica, the network, and slots that nobody uses",
        ),
        DatabaseCause::Bloat => (
            "autovacuum の実行状況と、掃除を妨げる長いトランザクションを確認",
            "check autovacuum, and long transactions that keep it from cleaning up",
        ),
    };
    Text::new(ja, en)
}

/// What is done now: in words, and the command for it.
pub fn cause_temporary(cause: DatabaseCause) -> Vec<(Text, Option<&'static str>)> {
    let by = |ja: &str, en: &str, command| (Text::new(ja, en), Some(command));
    let elsewhere = |ja: &str, en: &str| (Text::new(ja, en), None);
    let fewer = || {
        by(
            "受け付ける要求を 30 分間半分にする",
            "take half of the requests for 30 minutes",
            "opsctl limits tighten 50 --minutes 30",
        )
    };
    let look_again = || {
        by(
            "直ったかを確かめる",
            "see whether it is mended",
            "opsctl db triage",
        )
    };
    match cause {
        DatabaseCause::BadUrl => vec![
            elsewhere(
                "正しい接続文字列に直して再起動",
                "set the right connection string and restart",
            ),
            look_again(),
        ],
        DatabaseCause::UnknownHost => vec![
            elsewhere(
                "正しいホスト名か予備の接続先に切り替える",
                "use the right host, or the stand-by's",
            ),
            look_again(),
        ],
        DatabaseCause::ServerDown => vec![
            elsewhere(
                "プラットフォーム障害なら復旧を待つ。そうでなければサーバーを起動する",
                "wait where the platform is down; else start the server",
            ),
            elsewhere(
                "待てなければ予備に切り替える（失われる範囲を確かめてから）",
                "fail over where waiting is too long, once it is known what is lost",
            ),
            by(
                "ほかに足りないものがないか",
                "whether something else is missing",
                "opsctl doctor",
            ),
            look_again(),
        ],
        DatabaseCause::NoAnswer => vec![
            elsewhere(
                "ファイアウォールと経路の直前の変更を戻す",
                "take back the last change of firewall or route",
            ),
            fewer(),
            look_again(),
        ],
        DatabaseCause::Tls => vec![
            elsewhere(
                "期限切れの証明書を更新する。検証は切らない",
                "renew the certificate; do not turn its check off",
            ),
            look_again(),
        ],
        DatabaseCause::Credentials => vec![
            elsewhere(
                "正しい認証情報に更新し、再起動する",
                "set the right credentials and restart",
            ),
            look_again(),
        ],
        DatabaseCause::WrongDatabase => vec![
            elsewhere(
                "名前を直す。または GRANT CONNECT を与える",
                "mend the name, or GRANT CONNECT",
            ),
            look_again(),
        ],
        DatabaseCause::NotReady => vec![
            elsewhere(
                "復旧を待つ（再起動を重ねない）",
                "wait for it; do not restart it again",
            ),
            look_again(),
        ],
        DatabaseCause::ConnectionsExhausted => vec![
            fewer(),
            elsewhere(
                "インスタンスを減らすか再起動して、接続を放す",
                "run fewer instances, or restart them, so that connections are let go",
            ),
            elsewhere(
                "予約された接続（スーパーユーザー）で入り、遊んでいる接続を切る",
                "come in by a reserved connection (superuser) and end idle sessions",
            ),
            look_again(),
        ],
        DatabaseCause::Unreachable => vec![
            by(
                "ほかに足りないものがないか",
                "whether something else is missing",
                "opsctl doctor",
            ),
            look_again(),
        ],
        DatabaseCause::ConnectionsFull => vec![
            by(
                "誰が接続を占めているか",
                "who holds the connections",
                "opsctl db status",
            ),
            by(
                "規則に該当するセッションを見る（実行は --act）",
                "see which sessions the rules mean (--act does it)",
                "opsctl db cancel",
            ),
            by(
                "放置されたトランザクションを早く終わらせる",
                "let open transactions end sooner",
                "opsctl db timeouts on",
            ),
            fewer(),
        ],
        DatabaseCause::ConnectionsTight => vec![
            by(
                "誰が接続を占めているか",
                "who holds the connections",
                "opsctl db status",
            ),
            by(
                "規則に該当するセッションを見る（実行は --act）",
                "see which sessions the rules mean (--act does it)",
                "opsctl db cancel",
            ),
        ],
        DatabaseCause::Blocked => vec![
            by(
                "連鎖の根を見る",
                "see the root of the chain",
                "opsctl db blockers",
            ),
            by(
                "ロック待ちを短く打ち切る",
                "let waits for locks end sooner",
                "opsctl db timeouts on",
            ),
        ],
        DatabaseCause::ReadOnly => vec![
            by("誰が止めたか", "who turned it on", "opsctl runs"),
            by(
                "理由がなくなったら解除する（承認が要る）",
                "lift it once there is no reason any more (needs approval)",
                "opsctl db read-only off",
            ),
        ],
        DatabaseCause::IdleInTransaction => vec![
            by(
                "規則に該当するセッションを見る（実行は --act）",
                "see which sessions the rules mean (--act does it)",
                "opsctl db cancel",
            ),
            by(
                "放置を早く終わらせる",
                "let them end sooner",
                "opsctl db timeouts on",
            ),
        ],
        DatabaseCause::LongRunning => vec![
            by(
                "規則に該当するセッションを見る（実行は --act）",
                "see which sessions the rules mean (--act does it)",
                "opsctl db cancel",
            ),
            by(
                "長いクエリを早く打ち切る",
                "let long statements end sooner",
                "opsctl db timeouts on",
            ),
            fewer(),
        ],
        DatabaseCause::Prepared => vec![
            elsewhere(
                "作った側に確かめて COMMIT PREPARED か ROLLBACK PREPARED を実行する",
                "ask who made it, then COMMIT PREPARED or ROLLBACK PREPARED",
            ),
            by(
                "待たされているセッション",
                "who waits for it",
                "opsctl db blockers",
            ),
        ],
        DatabaseCause::ReplicationBehind => vec![
            elsewhere(
                "読み取りを主系に戻す。使われていないスロットは pg_drop_replication_slot で消す",
                "read from the primary; drop slots that nobody uses with pg_drop_replication_slot",
            ),
            by("遅れの推移", "how the lag goes on", "opsctl db status"),
        ],
        DatabaseCause::SlowStatements => vec![
            by(
                "どの文が時間を使っているか",
                "which statements take the time",
                "opsctl db status",
            ),
            fewer(),
        ],
        DatabaseCause::Bloat => vec![
            by("どの表か", "which tables", "opsctl db tables"),
            elsewhere(
                "VACUUM (ANALYZE) を実行する。VACUUM FULL は表を止めるため避ける",
                "run VACUUM (ANALYZE); not VACUUM FULL, which stops the table",
            ),
        ],
    }
}

/// What is done so that it does not come back.
pub fn cause_permanent(cause: DatabaseCause) -> Text {
    let (ja, en) = match cause {
        DatabaseCause::BadUrl
        | DatabaseCause::UnknownHost
        | DatabaseCause::Credentials
        | DatabaseCause::WrongDatabase => (
            "設定と認証情報を一か所で管理し、更新の手順に接続確認 (opsctl doctor) を入れる",
            "keep settings and credentials in one place, and try them (opsctl doctor) whenever they are changed",
        ),
        DatabaseCause::ServerDown | DatabaseCause::NotReady | DatabaseCause::Unreachable => (
            "予備系と自動フェイルオーバー、復元の訓練を用意する",
            "have a stand-by that takes over by itself, and practise restoring",
        ),
        DatabaseCause::NoAnswer => (
            "経路を二重にし、変更を審査する。サーバーを大きくする",
            "have a second route, review changes of it, and make the server larger",
        ),
        DatabaseCause::Tls => (
            "証明書の期限を監視し、自動で更新する",
            "watch the end of certificates and renew them by themselves",
        ),
        DatabaseCause::ConnectionsExhausted
        | DatabaseCause::ConnectionsFull
        | DatabaseCause::ConnectionsTight => (
            "プールの大きさ × インスタンス数を上限に収める。プーラーを置く。サーバーを大きくする",
            "keep pool size times instances below the maximum; put a pooler in between; make the server larger",
        ),
        DatabaseCause::Blocked => (
            "トランザクションを短くし、行を同じ順序でロックし、移行は lock_timeout 付きで行う",
            "make transactions short, lock rows in one order, and migrate with a lock_timeout",
        ),
        DatabaseCause::ReadOnly => (
            "有効にする条件と解除の担当を手順に書く",
            "write down when it is turned on, and who lifts it",
        ),
        DatabaseCause::IdleInTransaction | DatabaseCause::Prepared => (
            "外部呼び出しをトランザクションの外に出し、idle_in_transaction_session_timeout を常に設定する",
            "call others outside of transactions, and always have an idle_in_transaction_session_timeout",
        ),
        DatabaseCause::LongRunning | DatabaseCause::SlowStatements => (
            "EXPLAIN ANALYZE で直し、インデックスを追加し（opsctl migrations check で確認）、集計はレプリカへ移す",
            "mend it with EXPLAIN ANALYZE, add indexes (opsctl migrations check first), and move reports to a replica",
        ),
        DatabaseCause::ReplicationBehind => (
            "レプリカを主系と同じ大きさにし、max_slot_wal_keep_size を設定する",
            "make the replica as large as the primary, and set max_slot_wal_keep_size",
        ),
        DatabaseCause::Bloat => (
            "autovacuum を表ごとに強め、空きはオンラインの再編成で取り戻す",
            "make autovacuum stronger for the table, and win the room back by an online rewrite",
        ),
    };
    Text::new(ja, en)
}

/// Which figures and logs to look at.
pub fn cause_signals(cause: DatabaseCause) -> Text {
    let (ja, en) = match cause {
        DatabaseCause::ConnectionsExhausted
        | DatabaseCause::ConnectionsFull
        | DatabaseCause::ConnectionsTight => (
            "接続数（pg_stat_activity）、プールの待ち、53300 のエラー",
            "connections (pg_stat_activity), waits for the pool, errors 53300",
        ),
        DatabaseCause::Blocked | DatabaseCause::IdleInTransaction | DatabaseCause::Prepared => (
            "ロック待ち（pg_locks）、最古のトランザクション、デッドロックのログ",
            "waits for locks (pg_locks), the oldest transaction, deadlocks in the log",
        ),
        DatabaseCause::LongRunning | DatabaseCause::SlowStatements => (
            "CPU、スロークエリのログ、pg_stat_statements、API のレイテンシ",
            "processor, the log of slow statements, pg_stat_statements, latency of the API",
        ),
        DatabaseCause::ReplicationBehind => (
            "pg_stat_replication、pg_replication_slots、ディスクの残量",
            "pg_stat_replication, pg_replication_slots, room on the disk",
        ),
        DatabaseCause::Bloat => (
            "表の大きさ、死んだ行、autovacuum のログ、ディスクの残量",
            "sizes of tables, dead rows, the log of autovacuum, room on the disk",
        ),
        DatabaseCause::ReadOnly => (
            "25006 のエラー、実行の記録、監査ログ",
            "errors 25006, the runs, the audit trail",
        ),
        _ => (
            "API のエラーログ（DB 接続エラー）、サーバーのログ、状態ページ",
            "the API's log (connection errors), the server's log, the status page",
        ),
    };
    Text::new(ja, en)
}
