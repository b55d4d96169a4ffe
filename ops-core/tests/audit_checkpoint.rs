//! Checkpoints: signed notes, their keys, and what a newer one says about an older one.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use ops_core::audit::{Checkpoint, Growth, Note, NoteSigner, NoteVerifier, Prover, Tree, leaf_hash};
use ops_core::error::ErrorKind;
use ops_core::model::{Digest, TenantId};
use secrecy::{ExposeSecret, SecretString};

fn leaves(n: u64) -> impl Iterator<Item = Digest> {
    (0..n).map(|n| leaf_hash(&n.to_be_bytes()))
}

fn checkpoint(n: u64) -> Checkpoint {
    let tenant = TenantId::new("org_soulsyncs").unwrap();
    Checkpoint::of("audit.example.com", &tenant, &leaves(n).collect::<Tree>()).unwrap()
}

fn signer(name: &str) -> NoteSigner {
    NoteSigner::generate(name).unwrap()
}

/// The example of the Go implementation of the format: a key and a note that another program made.
#[test]
fn a_note_of_another_program_is_verified() {
    let key: NoteVerifier = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        .parse()
        .unwrap();
    let note: Note = "If you think cryptography is the answer to your problem,\n\
                      then you don't know what your problem is.\n\n\
                      — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        .parse()
        .unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&key)).unwrap(), [&key]);
    assert_eq!(
        key.to_string(),
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    );
}

#[test]
fn a_checkpoint_reads_back_and_its_text_is_the_three_lines() {
    let written = checkpoint(5);
    let text = written.to_string();
    assert_eq!(text.lines().next(), Some("audit.example.com/org_soulsyncs"));
    assert_eq!(text.lines().nth(1), Some("5"));
    assert_eq!(text.parse::<Checkpoint>().unwrap(), written);
    assert_eq!(
        format!("{text}another line\n").parse::<Checkpoint>().unwrap(),
        written
    );
    for unfit in [
        "",
        "a\n",
        "a\n1\n",
        "a\n+1\n",
        "\n1\nAA==\n",
        "a\n01\nAA==\n",
        "a\n1\nAA==\n",
    ] {
        assert!(unfit.parse::<Checkpoint>().is_err(), "{unfit:?}");
    }
    let root = text.lines().nth(2).unwrap();
    assert!(format!("a\n007\n{root}\n").parse::<Checkpoint>().is_err());
}

#[test]
fn every_changed_byte_of_a_note_is_noticed() {
    let signer = signer("audit.example.com");
    let known = [signer.verifier().clone()];
    let note = checkpoint(5).sign(&[&signer]).unwrap().to_string();
    assert!(note.parse::<Note>().unwrap().verify(&known).is_ok());
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        let Ok(changed) = String::from_utf8(bytes) else {
            continue;
        };
        let taken = changed
            .parse::<Note>()
            .is_ok_and(|note| note.verify(&known).is_ok());
        assert!(!taken, "byte {at}: {changed}");
    }
}

#[test]
fn only_signatures_of_known_keys_count() {
    let (log, witness, stranger) = (
        signer("audit.example.com"),
        signer("witness"),
        signer("audit.example.com"),
    );
    let known = [log.verifier().clone(), witness.verifier().clone()];
    let note = checkpoint(5).sign(&[&log, &witness, &stranger]).unwrap();
    let names: Vec<_> = note
        .verify(&known)
        .unwrap()
        .iter()
        .map(|key| key.name())
        .collect();
    assert_eq!(names, ["audit.example.com", "witness"]);

    let unknown = checkpoint(5).sign(&[&stranger]).unwrap();
    assert_eq!(
        unknown.verify(&known).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert!(checkpoint(5).sign(&[]).is_err());
}

#[test]
fn old_checkpoints_stay_verifiable_when_the_key_is_changed() {
    let (old, new) = (signer("audit.example.com"), signer("audit.example.com"));
    let before = checkpoint(5).sign(&[&old]).unwrap();
    let between = checkpoint(6).sign(&[&old, &new]).unwrap();
    let after = checkpoint(7).sign(&[&new]).unwrap();
    let both = [old.verifier().clone(), new.verifier().clone()];
    for note in [&before, &between, &after] {
        assert!(note.verify(&both).is_ok());
    }
    assert!(between.verify(&both[..1]).is_ok() && between.verify(&both[1..]).is_ok());
    assert!(after.verify(&both[..1]).is_err());
}

#[test]
fn keys_read_back_and_the_private_one_is_not_shown() {
    let signer = signer("audit.example.com");
    let text = signer.to_text();
    let back = NoteSigner::from_text(&text).unwrap();
    assert_eq!(back.verifier(), signer.verifier());
    assert_eq!(
        signer.verifier().to_string().parse::<NoteVerifier>().unwrap(),
        *signer.verifier()
    );
    // The last of five parts as a whole: a key in base64 may have a + itself.
    let secret = text.expose_secret().splitn(5, '+').last().unwrap().to_owned();
    assert_eq!(secret.len(), 44);
    assert!(!format!("{signer:?} {:?}", signer.verifier()).contains(&secret));

    let wrong = [
        "",
        "PRIVATE+KEY+",
        "PRIVATE+KEY+a+00000000+AAAA",
        &text.expose_secret().replace("audit", "other"),
        &signer.verifier().to_string(),
    ];
    for wrong in wrong {
        let error = NoteSigner::from_text(&SecretString::from(wrong)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!error.to_string().contains(&secret));
    }
    for name in ["", "a b", "a+b", "a\nb"] {
        assert!(NoteSigner::generate(name).is_err(), "{name:?}");
    }
}

#[test]
fn a_note_that_is_no_note_is_refused() {
    for unfit in [
        "",
        "text\n",
        "text\n\n",
        "text\n\nno signature\n",
        "\n\n— a AAAAAAAA\n",
        "a\u{7}\n\n— a AAAAAAAA\n",
    ] {
        assert!(unfit.parse::<Note>().is_err(), "{unfit:?}");
    }
    for unfit in ["", "no line break", "a\n\nb\n", "\na\n", "a\r\n"] {
        assert!(Note::new(unfit).is_err(), "{unfit:?}");
    }
}

#[test]
fn a_cut_a_roll_back_and_a_trail_computed_anew_are_told_apart() {
    let consistency = |old: u64, new: u64| {
        let mut prover = Prover::consistency(old, new).unwrap();
        leaves(new).for_each(|leaf| prover.push(leaf));
        prover.finish().unwrap()
    };
    let seen = checkpoint(5);
    let grown = checkpoint(9);
    assert_eq!(grown.growth(None, &[]).unwrap(), Growth::First);
    assert_eq!(seen.growth(Some(&seen), &[]).unwrap(), Growth::Same);
    assert_eq!(
        grown.growth(Some(&seen), &consistency(5, 9)).unwrap(),
        Growth::Grown
    );
    assert_eq!(
        checkpoint(4).growth(Some(&seen), &[]).unwrap(),
        Growth::RolledBack
    );

    let mut forged = grown.clone();
    forged.root = leaf_hash(b"computed anew");
    assert_eq!(
        forged.growth(Some(&seen), &consistency(5, 9)).unwrap(),
        Growth::Forked
    );
    let mut forged = seen.clone();
    forged.root = leaf_hash(b"computed anew");
    assert_eq!(forged.growth(Some(&seen), &[]).unwrap(), Growth::Forked);

    let mut elsewhere = grown;
    elsewhere.origin.push('x');
    assert!(elsewhere.growth(Some(&seen), &consistency(5, 9)).is_err());
    assert!(!Growth::Forked.is_sound() && !Growth::RolledBack.is_sound() && Growth::Grown.is_sound());
}
