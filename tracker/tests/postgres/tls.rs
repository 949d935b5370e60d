//! A PostgreSQL under TLS, whose certificate is looked at as the URL says.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::PathBuf;

use rand::RngExt as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tracker::store::{Database as _, Postgres};

use crate::server::{Server, apart, give};

/// Who may come how: nobody by TCP without TLS, one with a password and one with a certificate.
const WHO: &str = "local all all trust\n\
    hostssl all tracker 127.0.0.0/8 scram-sha-256\n\
    hostssl all certified 127.0.0.0/8 cert\n";

/// An authority and what it has signed, as files in the folder of a server.
struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(server: &Server, name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let folder = server.folder().to_owned();
        let made = params.self_signed(&key).unwrap();
        write(&folder, name, "pem", "CERTIFICATE", made.der());
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a name, and its key.
    fn sign(&self, name: &str) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        write(&self.folder, name, "pem", "CERTIFICATE", made.der());
        write(
            &self.folder,
            name,
            "key",
            "PRIVATE KEY",
            &key.serialize_der(),
        );
    }
}

fn write(folder: &std::path::Path, name: &str, kind: &str, label: &str, der: &[u8]) {
    let text = data_encoding::BASE64.encode(der);
    let text = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
    std::fs::write(folder.join(format!("{name}.{kind}")), text).unwrap();
}

/// An address of loopback that hardly anybody else listens at, and a port that is free there.
fn place() -> (IpAddr, u16) {
    let [a, b]: [u8; 2] = rand::rng().random();
    let ip = IpAddr::V4(Ipv4Addr::new(127, a, b, 7));
    let port = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
    (ip, port.port())
}

/// What comes of asking for the lists by a URL.
fn asked(url: &str) -> Result<(), String> {
    apart(|| {
        let mut database = Postgres::new(url).map_err(|error| error.to_string())?;
        database
            .lists()
            .map(drop)
            .map_err(|error| error.to_string())
    })
}

/// A server with a certificate for `db.test`, and who asks it.
struct Scene {
    server: Server,
    ip: IpAddr,
    port: u16,
}

impl Scene {
    /// `None` where PostgreSQL is not installed.
    fn new() -> Option<Self> {
        let server = Server::new()?;
        let ours = Authority::new(&server, "ours");
        Authority::new(&server, "other");
        for name in ["db.test", "certified"] {
            ours.sign(name);
        }
        let (ip, port) = place();
        println!("at {ip}:{port}");
        let mut scene = Self { server, ip, port };
        std::fs::write(scene.file("who"), WHO).unwrap();
        for name in ["who", "db.test.key", "db.test.pem", "ours.pem"] {
            give(scene.file(name).as_ref());
        }
        scene.serve("on");
        scene.server.tell(
            "ALTER ROLE tracker PASSWORD 'of the tracker'; CREATE ROLE certified LOGIN SUPERUSER",
        );
        Some(scene)
    }

    fn serve(&mut self, ssl: &str) {
        let settings = [
            format!("ssl={ssl}"),
            format!("listen_addresses={}", self.ip),
            format!("port={}", self.port),
            format!("hba_file={}", self.file("who")),
            format!("ssl_cert_file={}", self.file("db.test.pem")),
            format!("ssl_key_file={}", self.file("db.test.key")),
            format!("ssl_ca_file={}", self.file("ours.pem")),
        ];
        let settings = settings.each_ref().map(String::as_str);
        self.server.start_at(self.port, &settings);
    }

    fn file(&self, name: &str) -> String {
        self.server.folder().join(name).display().to_string()
    }

    /// The words of a URL for this server, whatever it is called, and `more`.
    fn url(&self, more: &str) -> String {
        let (ip, port) = (self.ip, self.port);
        format!("hostaddr={ip} port={port} dbname=postgres {more}")
    }

    /// What comes of asking as the tracker, with a password.
    fn ask(&self, more: &str) -> Result<(), String> {
        asked(&self.url(&format!("user=tracker password='of the tracker' {more}")))
    }

    /// The same of a server that is called as its certificate says.
    fn ask_by_name(&self, more: &str) -> Result<(), String> {
        self.ask(&format!("host=db.test {more}"))
    }
}

#[test]
fn certificates_are_looked_at_as_the_url_says() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let full = |name: &str| format!("sslmode=verify-full sslrootcert={}", scene.file(name));
    // Who has not got in was told so by PostgreSQL.
    let plain = scene.ask_by_name("sslmode=disable").unwrap_err();
    assert!(plain.contains("no encryption"), "{plain}");
    for more in [
        "",
        "sslmode=prefer",
        "sslmode=require",
        "sslmode=require channel_binding=require",
        &full("ours.pem"),
        // Itself, as those are that servers make for themselves.
        &full("db.test.pem"),
    ] {
        assert_eq!(scene.ask_by_name(more), Ok(()), "{more}");
    }
    // Of another name.
    let by_other_name = |more: &str| scene.ask(&format!("host=elsewhere.test {more}"));
    let any_host = format!("sslmode=verify-ca sslrootcert={}", scene.file("ours.pem"));
    assert_eq!(by_other_name(&any_host), Ok(()));
    let wrong = by_other_name(&full("ours.pem")).unwrap_err();
    assert!(
        wrong.contains("elsewhere.test") && wrong.contains("not valid for name"),
        "{wrong}"
    );
    assert!(by_other_name(&full("db.test.pem")).is_err());
    // Nor is it made for an address.
    let wrong = scene.ask(&full("ours.pem")).unwrap_err();
    assert!(wrong.contains(&scene.ip.to_string()), "{wrong}");
    // By another authority, and by none.
    let other = scene.file("other.pem");
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = scene.ask_by_name(&format!("sslmode={mode} sslrootcert={other}"));
        let refused = refused.unwrap_err();
        assert!(
            refused.contains(&other) && refused.contains("UnknownIssuer"),
            "{refused}"
        );
    }
    let absent = scene.ask_by_name(&full("absent.pem")).unwrap_err();
    let named = format!("sslrootcert={}", scene.file("absent.pem"));
    assert!(absent.starts_with(&named), "{absent}");
}

#[test]
fn a_tracker_shows_a_certificate_of_its_own() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let (ours, certificate) = (scene.file("ours.pem"), scene.file("certified.pem"));
    let own = format!(
        "sslcert={certificate} sslkey={}",
        scene.file("certified.key")
    );
    let strict = format!("host=db.test user=certified sslmode=verify-full sslrootcert={ours}");
    assert_eq!(asked(&scene.url(&format!("{strict} {own}"))), Ok(()));
    assert!(asked(&scene.url(&strict)).is_err());
}

#[test]
fn a_server_without_tls_is_asked_in_the_clear_where_the_url_lets_it() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.server.stop("INT");
    let everybody = "local all all trust\nhost all all 127.0.0.0/8 trust\n";
    std::fs::write(scene.file("who"), everybody).unwrap();
    scene.serve("off");
    assert_eq!(scene.ask_by_name(""), Ok(()));
    assert_eq!(scene.ask_by_name("sslmode=prefer"), Ok(()));
    let none = scene.ask_by_name("sslmode=require").unwrap_err();
    assert!(none.contains("does not support TLS"), "{none}");
}
