//! Signed torrents (BEP 35), against OpenSSL.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::support::{create, run, text, write};

/// Keys and certificates that `openssl` made.
struct Folder(tempfile::TempDir);

impl Folder {
    /// `None` where there is no `openssl`.
    fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            assert!(
                std::env::var_os("CI").is_none(),
                "in CI openssl must be there"
            );
            println!("skipped: there is no openssl");
            return None;
        }
        let folder = Self(tempfile::tempdir().unwrap());
        folder.openssl("req -x509 -newkey rsa:2048 -nodes -days 99 -subj /CN=com.example -keyout ca.key -out ca.pem");
        folder.openssl("req -newkey rsa:2048 -nodes -subj /O=Us/CN=com.example.us -keyout key.pem -out csr.pem");
        folder.openssl(
            "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 99 -out cert.pem",
        );
        folder.openssl("x509 -in cert.pem -outform DER -out cert.der");
        folder.openssl("x509 -in cert.pem -noout -pubkey -out pub.pem");
        write(&folder.path("data"), &vec![7; 50_000]);
        Some(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, args: &str) {
        let mut command = Command::new("openssl");
        let ran = command.args(args.split(' ')).current_dir(&self.0).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{args}: {ran:?}");
    }

    /// Makes `name` of the data, signed.
    fn create(&self, name: &str, more: &[&str]) -> PathBuf {
        let torrent = self.path(name);
        let (key, certificate) = (self.path("key.pem"), self.path("cert.pem"));
        let sign = [
            "--sign-key",
            text(&key),
            "--certificate",
            text(&certificate),
        ];
        create(&self.path("data"), &torrent, &[&sign, more].concat()).ok();
        torrent
    }

    /// What is told of the only signature of a torrent.
    fn signature(torrent: &Path, trust: &[&str]) -> Value {
        let args = ["info", text(torrent), "--json"];
        let about = run(args.iter().chain(trust)).ok().json();
        let signatures = about["signatures"].as_array().unwrap();
        assert_eq!(signatures.len(), 1, "{about}");
        signatures[0].clone()
    }
}

/// The bytes behind `key` in a torrent: a string.
fn string_behind<'a>(torrent: &'a [u8], key: &str) -> &'a [u8] {
    let at = torrent
        .windows(key.len())
        .rposition(|it| it == key.as_bytes());
    let rest = &torrent[at.unwrap() + key.len()..];
    let colon = rest.iter().position(|byte| *byte == b':').unwrap();
    let len: usize = std::str::from_utf8(&rest[..colon])
        .unwrap()
        .parse()
        .unwrap();
    &rest[colon + 1..][..len]
}

/// The info dictionary of a torrent that has no piece layers.
fn info_of(torrent: &[u8]) -> &[u8] {
    let find = |key: &[u8]| torrent.windows(key.len()).position(|it| it == key).unwrap();
    &torrent[find(b"4:info") + 6..find(b"10:signatures")]
}

#[test]
fn openssl_accepts_what_we_sign() {
    let Some(folder) = Folder::new() else { return };
    let torrent = std::fs::read(folder.create("t.torrent", &["--format", "v1"])).unwrap();
    write(&folder.path("info"), info_of(&torrent));
    write(&folder.path("sig"), string_behind(&torrent, "9:signature"));
    folder.openssl("dgst -sha256 -verify pub.pem -signature sig info");
    let der = std::fs::read(folder.path("cert.der")).unwrap();
    assert_eq!(string_behind(&torrent, "11:certificate"), der);
}

#[test]
fn what_is_signed_is_shown_with_what_it_is_worth() {
    let Some(folder) = Folder::new() else { return };
    let torrent = folder.create("t.torrent", &["--format", "v1"]);
    let signature = Folder::signature(&torrent, &[]);
    for (key, value) in [
        ("name", "com.example.us"),
        ("state", "valid"),
        ("digest", "SHA-256"),
        ("subject", "O=Us, CN=com.example.us"),
        ("issuer", "CN=com.example"),
    ] {
        assert_eq!(signature[key], value, "{signature}");
    }
    assert_eq!(signature["trusted"], false);
    let ca = folder.path("ca.pem");
    let trust = ["--trust", text(&ca)];
    assert_eq!(Folder::signature(&torrent, &trust)["trusted"], true);
    let shown = run(["info", text(&torrent)].iter().chain(&trust)).ok().out;
    assert!(
        shown.contains("com.example.us: valid, by O=Us, CN=com.example.us"),
        "{shown}"
    );
    assert!(shown.contains("vouches for"), "{shown}");

    let mut bytes = std::fs::read(&torrent).unwrap();
    let at = bytes.windows(6).position(|it| it == b"4:data").unwrap();
    bytes[at + 2] = b'D';
    write(&torrent, &bytes);
    let signature = Folder::signature(&torrent, &trust);
    assert_eq!(signature["state"], "invalid", "{signature}");
    assert!(run(["info", text(&torrent)]).ok().out.contains("INVALID"));
}

#[test]
fn what_openssl_signs_is_valid_here_and_a_certificate_may_be_left_out() {
    let Some(folder) = Folder::new() else { return };
    let more = [
        "--format",
        "v1",
        "--exclude-certificate",
        "--signer",
        "org.other",
    ];
    let torrent = folder.create("t.torrent", &more);
    let mut bytes = std::fs::read(&torrent).unwrap();
    write(&folder.path("info"), info_of(&bytes));
    folder.openssl("dgst -sha1 -sign key.pem -out sig info");
    let signature = std::fs::read(folder.path("sig")).unwrap();
    let from = bytes.len() - b"eee".len() - signature.len();
    bytes[from..][..signature.len()].copy_from_slice(&signature);
    write(&torrent, &bytes);

    let unknown = Folder::signature(&torrent, &[]);
    assert_eq!(
        (&unknown["name"], &unknown["state"]),
        (&"org.other".into(), &"unknown".into())
    );
    assert!(
        unknown["reason"].as_str().unwrap().contains("certificate"),
        "{unknown}"
    );
    let der = folder.path("cert.der");
    let known = Folder::signature(&torrent, &["--trust", text(&der)]);
    assert_eq!(
        (&known["state"], &known["digest"]),
        (&"valid".into(), &"SHA-1".into())
    );
    assert!(
        known["reason"].as_str().unwrap().contains("SHA-1"),
        "{known}"
    );
}

#[test]
fn keys_and_certificates_that_cannot_be_used_are_named() {
    let Some(folder) = Folder::new() else { return };
    let torrent = folder.path("t.torrent");
    let data = folder.path("data");
    let sign = |key: &str, certificate: &str| {
        let (key, certificate) = (folder.path(key), folder.path(certificate));
        let args = [
            "--sign-key",
            text(&key),
            "--certificate",
            text(&certificate),
        ];
        create(&data, &torrent, &args)
    };
    let other = sign("ca.key", "cert.pem");
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.err.contains("not that of the key"), "{other:?}");
    assert_eq!(sign("none", "cert.pem").code, 3);
    let wrong = sign("key.pem", "data");
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.err.contains("not an X.509 certificate"), "{wrong:?}");
    assert!(!torrent.exists());
}
