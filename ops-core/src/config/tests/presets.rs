use super::*;

#[test]
fn the_presets_are_the_tables_of_the_two_runbooks() {
    let config = preset(Preset::SoulKun).unwrap();
    let services: Vec<_> = config
        .services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert_eq!(
        services,
        [
            "soul-kun-api",
            "chatwork-webhook",
            "proactive-monitor",
            "soulkun-mcp-server",
            "soulkun-mobile-api"
        ]
    );
    for service in &config.services {
        assert_eq!(service.platform, Platform::CloudRun);
        assert_eq!(service.region.as_deref(), Some("asia-northeast1"));
    }
    assert_eq!(
        config.database.as_ref().unwrap().name.as_deref(),
        Some("soul_kun")
    );
    assert_eq!(config.switches[0].env.as_deref(), Some("USE_BRAIN_ARCHITECTURE"));
    let brain = config.procedure("llm-brain-stop").unwrap();
    assert_eq!(brain.kind.services(), &services[..1]);
    assert!(brain.read_only_database);
    assert_eq!(brain.notify, ["#emergency", "カズさん"]);
    assert_eq!(
        config.procedure("api-stop").unwrap().kind.services(),
        &services[1..]
    );
    assert_eq!(
        config.procedure("database-read-only").unwrap().kind,
        ProcedureKind::DatabaseReadOnly
    );

    let config = preset(Preset::HrxAi).unwrap();
    assert!(config.gcp.is_none() && config.railway.is_some() && config.vercel.is_some());
    let platforms: Vec<_> = config.services.iter().map(|service| service.platform).collect();
    assert_eq!(
        platforms,
        [Platform::Vercel, Platform::Railway, Platform::Railway]
    );
    let audiences: Vec<_> = config
        .contacts
        .iter()
        .map(|contact| contact.audience.as_str())
        .collect();
    assert_eq!(
        audiences,
        [
            "#hrx-alerts-critical",
            "#hrx-alerts-warning",
            "#hrx-security-alerts",
            "incident-manager"
        ]
    );
}

#[test]
fn the_presets_need_two_persons_for_a_restore_and_nobody_has_their_keys() {
    for which in Preset::ALL {
        let config = preset(which).unwrap();
        assert_eq!((config.approvals.stop, config.approvals.restore), (0, 2));
        assert_eq!(config.placeholder_approvers().count(), config.approvers.len());
        assert_eq!(config.approvers.len(), 2);
    }
}

#[test]
fn the_example_files_are_the_presets() {
    for preset in Preset::ALL {
        let file = format!(
            "{}/../examples/config/{}.toml",
            env!("CARGO_MANIFEST_DIR"),
            preset.as_str()
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), preset.text(), "{file}");
    }
}
