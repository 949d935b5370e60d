//! The file of settings of the tracker, and the URL of its database: what is taken is within all bounds and is taken again when it is
//! read again; what is refused is refused with a line of the file, or a name.

use tracker::Settings;
use tracker::settings::{KEYS, SettingsError};
use tracker::store::Postgres;

/// Checks one input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Settings::from_toml(text) {
        Ok(read) => {
            assert_eq!(read.check(), Ok(()));
            assert_eq!(Settings::from_toml(text).as_ref(), Ok(&read));
            assert!(read.announce.min_interval <= read.announce.interval);
            assert!(read.announce.peer_timeout > read.announce.interval);
            assert!(read.announce.default_peers <= read.announce.most_peers);
            assert!(read.threads() >= 1);
            // What the settings become for the servers.
            let (_, _, _) = (read.policy(), read.mode(), read.swarm_options());
            for http in &read.http {
                assert!(http.limits().connections >= 1);
            }
            let tokens = read.api.iter().flat_map(|api| api.tokens.values());
            assert!(tokens.map(|token| &token.0).all(|token| token.len() >= 16));
        }
        Err(SettingsError::Text { line, message }) => {
            assert!(line >= 1 && line <= text.matches('\n').count() + 1);
            assert!(!message.is_empty() && !message.contains('\n'));
        }
        Err(SettingsError::Range {
            key,
            value,
            least,
            most,
        }) => {
            assert!(value < least || value > most);
            assert!(KEYS.iter().any(|known| known.name == key));
        }
        Err(other) => assert!(!other.to_string().is_empty()),
    }
    // Nothing is connected to, but files that are named would be read.
    if !["sslrootcert", "sslcert"]
        .iter()
        .any(|word| text.contains(word))
    {
        let _ = Postgres::new(text);
    }
}
