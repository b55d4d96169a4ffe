use std::time::Duration;

use super::*;

#[test]
fn every_key_is_read() {
    let config = OpsConfig::parse(WHOLE).unwrap();
    assert_eq!((config.lang, config.loopback_only), (Lang::En, true));
    assert_eq!(config.state_dir, Path::new("/var/lib/ops"));
    assert_eq!(config.tenant.as_str(), "org_customer_a");
    let gcp = config.gcp.as_ref().unwrap();
    assert_eq!(gcp.run_base_url, "http://127.0.0.1:8080");
    assert_eq!(
        (gcp.project.as_str(), gcp.token_env.as_str()),
        ("soul-kun", "GCP_TOKEN")
    );
    let railway = config.railway.as_ref().unwrap();
    assert_eq!(railway.token_kind, RailwayTokenKind::Bearer);
    assert_eq!(
        (railway.project.as_str(), railway.environment.as_str()),
        ("p-1", "e-1")
    );
    assert_eq!(
        (railway.base_url.as_str(), railway.token_env.as_str()),
        ("http://[::1]:8081", "RW_TOKEN")
    );
    let vercel = config.vercel.as_ref().unwrap();
    assert_eq!(
        (vercel.team.as_deref(), vercel.token_env.as_str()),
        (Some("team_1"), "VC_TOKEN")
    );
    assert_eq!(vercel.base_url, "http://localhost:8082");
    let database = config.database.as_ref().unwrap();
    assert_eq!(
        (database.url_env.as_str(), database.name.as_deref()),
        ("DB_URL", Some("soul_kun"))
    );
    assert_eq!(database.audit_url_env.as_deref(), Some("AUDIT_URL"));
    let api = config.service("api").unwrap();
    assert_eq!(
        (api.platform, api.id.as_str()),
        (Platform::CloudRun, "soul-kun-api")
    );
    assert_eq!(api.region.as_deref(), Some("us-central1"));
    let worker = config.service("worker").unwrap();
    assert_eq!((worker.id.as_str(), worker.region.as_deref()), ("worker", None));
    let grace = std::time::Duration::from_secs(60);
    let brain = SwitchConfig::new("llm-brain")
        .with_env("USE_BRAIN_ARCHITECTURE", "no")
        .stopped_by_default()
        .with_on_stale(OnStale::Stop { grace });
    assert_eq!(config.switches, [brain]);
    assert_eq!(config.contacts[0].phone_env, None);
    assert_eq!(config.contacts[1].phone_env.as_deref(), Some("PHONE"));
    let brain = config.procedure("stop-brain").unwrap();
    assert_eq!(
        brain.kind,
        ProcedureKind::LlmBrainStop {
            switch: "llm-brain".to_owned(),
            services: vec!["api".to_owned()]
        }
    );
    assert_eq!(brain.notify, ["#emergency", "カズさん"]);
    assert_eq!(
        (brain.read_only_database, brain.promised),
        (true, Duration::from_secs(30))
    );
    assert_eq!(
        (brain.ramp.as_slice(), brain.jitter),
        (&[1, 10][..], Duration::from_secs(60))
    );
    let [first, second] = brain.gates.as_slice() else {
        panic!("{:?}", brain.gates);
    };
    assert_eq!(
        (first.after, first.hold),
        (GateAfter::Start, Duration::from_secs(60))
    );
    assert_eq!(
        (first.every, first.patience),
        (Duration::from_secs(5), Duration::from_secs(600))
    );
    assert_eq!(
        (second.after, second.hold),
        (GateAfter::Stage(1), Duration::from_secs(90))
    );
    assert_eq!(second.health, ["api", "staging"]);
    assert_eq!(
        (second.every, second.patience),
        (Duration::from_millis(1500), Duration::from_secs(3600))
    );
    assert_eq!(config.health[0].field.as_deref(), Some("db.status"));
    assert_eq!(config.health[0].equals.as_deref(), Some("ok"));
    assert_eq!(config.health[1].url, "http://localhost/ready");
    assert_eq!(
        config.procedure("stop-api").unwrap().kind.services(),
        ["api", "worker"]
    );
    assert!(config.procedure("read-only").unwrap().read_only_database);
    assert_eq!((config.approvals.stop, config.approvals.restore), (1, 2));
    assert_eq!(config.approvals.valid_for, Duration::from_secs(15 * 60));
    assert_eq!(config.approvers[1].name, "bob");
    assert_eq!(config.approvers[1].public_key[..2], [0x3d, 0x40]);
    assert_eq!(config.placeholder_approvers().count(), 0);
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let config = OpsConfig::parse(
        "[railway]\nproject = 'p'\nenvironment = 'e'\n[vercel]\n[gcp]\nproject = 'p'\n[database]\n",
    )
    .unwrap();
    assert_eq!((config.lang, config.loopback_only), (Lang::Ja, false));
    assert_eq!(config.state_dir, Path::new(".ops"));
    assert_eq!(config.tenant.as_str(), "org_soulsyncs");
    let gcp = config.gcp.unwrap();
    assert_eq!(gcp.run_base_url, "https://run.googleapis.com");
    assert_eq!(
        (gcp.token_env.as_str(), gcp.region),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", None)
    );
    let railway = config.railway.unwrap();
    assert_eq!(railway.base_url, "https://backboard.railway.com");
    assert_eq!(
        (railway.token_env.as_str(), railway.token_kind),
        ("RAILWAY_TOKEN", RailwayTokenKind::Project)
    );
    let vercel = config.vercel.unwrap();
    assert_eq!(vercel.base_url, "https://api.vercel.com");
    assert_eq!((vercel.token_env.as_str(), vercel.team), ("VERCEL_TOKEN", None));
    let database = config.database.unwrap();
    assert_eq!(
        (database.url_env.as_str(), database.audit_url_env, database.name),
        ("DATABASE_URL", None, None)
    );
    assert_eq!(config.approvals, ApprovalsConfig::default());
    assert_eq!((config.approvals.stop, config.approvals.restore), (0, 2));

    let config = OpsConfig::parse(SMALL).unwrap();
    let api = &config.services[0];
    assert_eq!((api.id.as_str(), api.region.as_deref()), ("api", Some("r")));
    assert!(OpsConfig::parse("").is_ok());
    assert!(OpsConfig::parse("\u{feff}lang = 'ja'\r\n").is_ok());
}

#[test]
fn a_file_is_read_with_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ops.toml");
    std::fs::write(&path, "state_dir = 'state'\n").unwrap();
    assert_eq!(
        OpsConfig::load(&path).unwrap().state_dir,
        directory.path().join("state")
    );
    std::fs::write(&path, "state_dir = '/var/ops'\n").unwrap();
    assert_eq!(OpsConfig::load(&path).unwrap().state_dir, Path::new("/var/ops"));

    std::fs::write(&path, "lang = 'fr'\nlnag = 'ja'\n").unwrap();
    let error = OpsConfig::load(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(ConfigFaults::of(&error).unwrap().faults.len(), 2);
    for bytes in [None, Some(b"lang = '\xff'".as_slice())] {
        match bytes {
            None => std::fs::remove_file(&path).unwrap(),
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        }
        let error = OpsConfig::load(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("ops.toml"), "{error}");
    }
}

#[test]
fn a_configuration_is_read_back_as_it_was_written() {
    for text in [WHOLE, SMALL, "", Preset::SoulKun.text(), Preset::HrxAi.text()] {
        let config = OpsConfig::parse(text).unwrap();
        let written = config.to_toml().unwrap();
        assert_eq!(OpsConfig::parse(&written).as_ref(), Ok(&config), "{written}");
    }
}
