use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};

use protocol::id::{InfoHash, PeerId};
use protocol::tracker::Announce;
use protocol::tracker::udp::{Family, Request, Response};

use super::*;
use crate::access::Listing;
use crate::settings::{HttpSettings, UdpSettings};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn settings() -> Settings {
    Settings {
        udp: vec![UdpSettings::new(LOOPBACK)],
        http: vec![HttpSettings::new(LOOPBACK)],
        ..Settings::in_memory()
    }
}

/// The body of an answer by HTTP.
fn get(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn announce(port: u16, torrent: char) -> String {
    let hash = torrent.to_string().repeat(20);
    format!("/announce?info_hash={hash}&peer_id={hash}&port={port}&compact=1&left=0")
}

fn ask(socket: &UdpSocket, request: &Request) -> Response {
    socket.send(&request.encode()).unwrap();
    let mut room = [0; 2048];
    let len = socket.recv(&mut room).unwrap();
    Response::decode(&room[..len], Family::V4).unwrap()
}

#[actix_rt::test]
async fn one_tracker_serves_both_protocols_and_tells_its_figures() {
    let (_, handle) = Tracker::launch(settings(), Path::new("")).unwrap();
    let Listening { udp, http, .. } = handle.listening().clone();
    assert!(get(http[0], &announce(1, 'a')).contains("8:completei1e"));
    let socket = UdpSocket::bind(LOOPBACK).unwrap();
    socket.connect(udp[0]).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let Response::Connect { connection, .. } = ask(&socket, &Request::Connect { transaction: 1 })
    else {
        panic!("no connection id");
    };
    let request = Request::Announce {
        connection,
        transaction: 2,
        announce: Announce::new(InfoHash(*b"aaaaaaaaaaaaaaaaaaaa"), PeerId([2; 20]), 2),
        url_data: Vec::new(),
    };
    let Response::Announce { peers, .. } = ask(&socket, &request) else {
        panic!("no peers");
    };
    assert_eq!(peers.len(), 1, "who came by HTTP");
    let figures = handle.statistics().await.unwrap();
    assert_eq!(
        (
            figures.http.announces,
            figures.udp.announces,
            figures.udp.connects
        ),
        (1, 1, 1)
    );
    assert_eq!(
        (figures.swarms.v4.seeders, figures.swarms.v4.leechers),
        (1, 1)
    );
    assert!(figures.store.is_loaded);

    handle.stop().await;
    assert!(TcpStream::connect(http[0]).is_err());
    assert_eq!(
        handle.statistics().await.unwrap().udp.announces,
        0,
        "nothing serves"
    );
}

#[actix_rt::test]
async fn other_settings_hold_at_once_or_are_told_to_hold_later() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    std::fs::write(&list, "61".repeat(20)).unwrap();
    let (_, handle) = Tracker::launch(settings(), folder.path()).unwrap();
    let http = handle.listening().http[0];
    assert!(get(http, &announce(1, 'b')).contains("8:intervali1800e"));

    let mut other = settings();
    other.announce.interval = 1000;
    other.access.listing = Listing::Allow;
    other.access.list_file = Some(list.clone());
    other.workers = 2;
    let reloaded = handle.reload(other.clone()).await.unwrap();
    assert_eq!(reloaded.changed, ["announce", "access"]);
    assert_eq!(reloaded.at_next_start, ["workers"]);
    assert!(get(http, &announce(1, 'a')).contains("8:intervali1000e"));
    assert!(get(http, &announce(1, 'b')).contains("is not whitelisted"));

    other.announce.interval = 1;
    assert!(matches!(
        handle.reload(other.clone()).await,
        Err(ReloadError::Settings(_))
    ));
    assert!(get(http, &announce(1, 'a')).contains("8:intervali1000e"));
    other.announce.interval = 1000;
    std::fs::write(&list, "?").unwrap();
    assert!(matches!(
        handle.reload(other).await,
        Err(ReloadError::Lists(_))
    ));
    assert!(get(http, &announce(1, 'a')).contains("8:intervali1000e"));
}

#[actix_rt::test]
async fn what_is_kept_is_there_when_the_tracker_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.database = crate::settings::DatabaseSettings::default();
    for round in 1..=2 {
        let (_, handle) = Tracker::launch(settings.clone(), folder.path()).unwrap();
        let http = handle.listening().http[0];
        get(http, &announce(1, 'a').replace("left=0", "left=1"));
        get(http, &(announce(1, 'a') + "&event=completed"));
        let hash = "a".repeat(20);
        let scraped = get(http, &format!("/scrape?info_hash={hash}"));
        assert!(
            scraped.contains(&format!("10:downloadedi{round}e")),
            "{scraped}"
        );
        handle.stop().await;
    }
}

#[actix_rt::test]
async fn a_taken_address_and_a_certificate_that_is_none_are_told_at_the_start() {
    let taken = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let mut settings = settings();
    settings.http[0].bind = taken.local_addr().unwrap();
    let error = Tracker::launch(settings.clone(), Path::new("")).unwrap_err();
    assert!(matches!(error, StartError::Listen { at, .. } if at == settings.http[0].bind));
    settings.http[0].bind = LOOPBACK;
    settings.http[0].certificate = Some("nowhere.pem".into());
    settings.http[0].private_key = Some("nowhere.pem".into());
    let error = Tracker::launch(settings, Path::new("")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("TLS: nowhere.pem: No such file"),
        "{error}"
    );
}

#[actix_rt::test]
async fn what_another_tracker_listens_at_is_not_shared_with_it() {
    let first = Tracker::launch(settings(), Path::new("")).unwrap().1;
    let (udp, http) = (first.listening().udp[0], first.listening().http[0]);
    for (udp, http, taken) in [(udp, LOOPBACK, udp), (LOOPBACK, http, http)] {
        let mut settings = settings();
        settings.udp[0].bind = udp;
        settings.http[0].bind = http;
        let error = Tracker::launch(settings, Path::new("")).unwrap_err();
        assert!(
            matches!(error, StartError::Listen { at, .. } if at == taken),
            "{error}"
        );
    }
    // Where nobody answers any more, the next may.
    first.stop().await;
    let mut settings = settings();
    settings.udp[0].bind = udp;
    settings.http[0].bind = http;
    Tracker::launch(settings, Path::new("")).unwrap();
}

#[test]
fn files_of_certificates_that_do_not_fit_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let of = || Tls::of(Some(&certificate), Some(&key));
    assert!(of().unwrap().is_some());
    let good = std::fs::read(&key).unwrap();
    let other = tempfile::tempdir().unwrap();
    certify(other.path());
    std::fs::copy(other.path().join("key.pem"), &key).unwrap();
    let error = of().unwrap_err().to_string();
    let words = format!("it is not the key of {}", certificate.display());
    assert_eq!(error, format!("TLS: {}: {words}", key.display()));
    std::fs::write(&key, "").unwrap();
    let error = of().unwrap_err().to_string();
    assert_eq!(
        error,
        format!("TLS: {}: there is no private key in it", key.display())
    );
    std::fs::write(&key, good).unwrap();
    std::fs::write(&certificate, "").unwrap();
    let error = of().unwrap_err().to_string();
    assert!(
        error.ends_with("certificate.pem: there is no certificate in it"),
        "{error}"
    );
}

/// Writes a certificate for `localhost` and its key, and returns the certificate.
fn certify(folder: &Path) -> rustls::pki_types::CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = |name, der: &[u8]| {
        let text = data_encoding::BASE64.encode(der);
        format!("-----BEGIN {name}-----\n{text}\n-----END {name}-----\n")
    };
    let certificate = pem("CERTIFICATE", made.cert.der());
    std::fs::write(folder.join("certificate.pem"), certificate).unwrap();
    let key = pem("PRIVATE KEY", &made.signing_key.serialize_der());
    std::fs::write(folder.join("key.pem"), key).unwrap();
    made.cert.der().clone()
}

/// What a client hears that trusts this certificate and no other.
fn get_under_tls(
    at: SocketAddr,
    trusted: &rustls::pki_types::CertificateDer<'static>,
    path: &str,
) -> io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut stream = rustls::Stream::new(&mut session, &mut stream);
    stream.write_all(format!("GET {path} HTTP/1.1\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[actix_rt::test]
async fn under_tls_other_certificates_are_shown_when_settings_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = certify(folder.path());
    let mut settings = settings();
    settings.http[0].certificate = Some(folder.path().join("certificate.pem"));
    settings.http[0].private_key = Some(folder.path().join("key.pem"));
    let (_, handle) = Tracker::launch(settings.clone(), folder.path()).unwrap();
    let http = handle.listening().http[0];
    let text = get_under_tls(http, &first, &announce(1, 'a')).unwrap();
    assert!(text.contains("8:completei1e"), "{text}");

    let second = certify(folder.path());
    assert!(
        get_under_tls(http, &second, "/health_check").is_err(),
        "not yet"
    );
    handle.reload(settings.clone()).await.unwrap();
    assert!(
        get_under_tls(http, &second, "/health_check")
            .unwrap()
            .contains("Ok")
    );
    assert!(get_under_tls(http, &first, "/health_check").is_err());

    std::fs::write(folder.path().join("key.pem"), "none").unwrap();
    assert!(matches!(
        handle.reload(settings).await,
        Err(ReloadError::Certificate(_))
    ));
    assert!(
        get_under_tls(http, &second, "/health_check")
            .unwrap()
            .contains("Ok")
    );
    // What is no TLS is shown out.
    let mut plain = TcpStream::connect(http).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut some = Vec::new();
    let _ = plain.read_to_end(&mut some);
    assert!(!some.starts_with(b"HTTP"));
    assert!(handle.statistics().await.unwrap().http.misfits >= 2);
}

#[actix_rt::test]
async fn where_one_certificate_cannot_be_read_none_is_taken() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = certify(folders[0].path());
    certify(folders[1].path());
    let mut settings = settings();
    settings.http = folders
        .iter()
        .map(|folder| HttpSettings {
            certificate: Some(folder.path().join("certificate.pem")),
            private_key: Some(folder.path().join("key.pem")),
            ..HttpSettings::new(LOOPBACK)
        })
        .collect();
    let (_, handle) = Tracker::launch(settings.clone(), Path::new("")).unwrap();
    let http = handle.listening().http[0];
    let second = certify(folders[0].path());
    std::fs::write(folders[1].path().join("key.pem"), "none").unwrap();
    settings.announce.interval = 1000;
    assert!(matches!(
        handle.reload(settings.clone()).await,
        Err(ReloadError::Certificate(_))
    ));
    let text = get_under_tls(http, &first, &announce(1, 'a')).unwrap();
    assert!(text.contains("8:intervali1800e"), "{text}");

    certify(folders[1].path());
    handle.reload(settings).await.unwrap();
    let text = get_under_tls(http, &second, &announce(1, 'a')).unwrap();
    assert!(text.contains("8:intervali1000e"), "{text}");
}
