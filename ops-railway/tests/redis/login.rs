use ops_core::error::ErrorKind;
use ops_core::http::HostPolicy;
use ops_core::ports::{LimitStamp, LimitStore};
use ops_core::testkit::{self, RedisServer};
use ops_railway::redis::RedisLimits;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::stage::{builder, say};

#[tokio::test]
async fn the_password_is_asked_for_and_never_shown() {
    let Some(server) = RedisServer::for_test(&["--requirepass", "s3cret"]).await else {
        return;
    };
    let address = format!("127.0.0.1:{}", server.port());
    let right = builder(&format!("redis://:s3cret@{address}")).build().unwrap();
    right.connect().await.unwrap();
    assert!(!format!("{right:?}").contains("s3cret"));
    for wrong in [
        format!("redis://:s3cret-wrong@{address}"),
        format!("redis://{address}"),
    ] {
        let error = builder(&wrong).build().unwrap().connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error}");
    }
    let user = builder(&format!("redis://default:s3cret@{address}"))
        .build()
        .unwrap();
    user.connect().await.unwrap();
}

#[tokio::test]
async fn a_user_without_rights_is_told_what_it_needs() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    assert!(
        say(
            server.port(),
            "ACL SETUSER app on >s3cret ~other:* +ping +script +evalsha +eval"
        )
        .starts_with("+OK")
    );
    let url = format!("redis://app:s3cret@127.0.0.1:{}", server.port());
    let error = builder(&url).build().unwrap().table().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("ops:*"), "{error}");

    // It may run the script, and the script may not.
    let rights = "ACL SETUSER half on >s3cret ~* +ping +script +evalsha +eval +time +hget";
    assert!(say(server.port(), rights).starts_with("+OK"));
    let url = format!("redis://half:s3cret@127.0.0.1:{}", server.port());
    let store = builder(&url).build().unwrap();
    let error = store.check(LimitStamp::of_version(0), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("unlink"), "{error}");
}

#[tokio::test]
async fn tls_holds_with_the_right_authority_only() {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert_file, key_file) = (file("cert.pem", own.pem()), file("key.pem", key.serialize_pem()));
    let options = [
        "--port",
        "0",
        "--tls-port",
        "PORT",
        "--tls-cert-file",
        &cert_file,
        "--tls-key-file",
        &key_file,
        "--tls-auth-clients",
        "no",
    ];
    let Some(server) = RedisServer::for_test(&options).await else {
        return;
    };
    let url = format!("rediss://localhost:{}", server.port());
    let store = builder(&url).with_root_certificates(root.pem()).build().unwrap();
    testkit::limit_store(&store).await;

    let mozilla = builder(&url).build().unwrap().connect().await.unwrap_err();
    assert_eq!(mozilla.kind(), ErrorKind::Unavailable);
    assert!(mozilla.to_string().contains("TLS"), "{mozilla}");
    let plain = builder(&url.replace("rediss", "redis")).build().unwrap();
    assert!(
        plain.connect().await.is_err(),
        "a server of TLS takes nothing plain"
    );
    let none = builder(&url)
        .with_root_certificates("no pem")
        .build()
        .unwrap_err();
    assert!(none.to_string().contains("root certificates"), "{none}");
}

#[tokio::test]
async fn no_other_machine_is_ever_talked_to_in_tests() {
    for url in [
        "rediss://default:t@eu2-one-1.upstash.io:6379",
        "redis://10.0.0.1",
        "redis://redis.railway.internal",
    ] {
        for private in [false, true] {
            let error = builder(url).with_private_network(private).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains("another machine"), "{error}");
        }
        let policy = builder(url).with_host_policy(HostPolicy::LoopbackOnly).build();
        assert!(policy.is_err());
    }
    let error = RedisLimits::builder()
        .with_space("a b")
        .build()
        .unwrap_err()
        .to_string();
    for fault in ["url: is missing", "space: must be", "clock: is missing"] {
        assert!(error.contains(fault), "{error}");
    }
}
