//! Settings as they are read from a file.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::keys::{EXAMPLE_TOKEN, KEYS};
use super::{ApiSettings, DatabaseKind, Settings};

/// Why a file is no settings of a tracker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// It is no TOML, or a key is not known, or a value is of another kind.
    #[error("line {line}: {message}")]
    Text {
        /// The line, from 1 on.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A number is too small or too large.
    #[error("{key} = {value}: it has to be {least} to {most}")]
    Range {
        /// The key.
        key: &'static str,
        /// The number.
        value: u64,
        /// The least that may be.
        least: u64,
        /// The most that may be.
        most: u64,
    },
    /// What does not go together.
    #[error("{0}")]
    Unfit(&'static str),
    /// Two servers want the same address.
    #[error("{0} is given to two servers")]
    Twice(SocketAddr),
    /// A certificate without a key, or a key without a certificate.
    #[error("{0}: `certificate` and `private_key` go together")]
    HalfTls(SocketAddr),
    /// A token that is easily guessed.
    #[error("api.tokens.{0} has to have 16 characters at least")]
    ShortToken(String),
    /// The token of the example, which everybody knows.
    #[error("api.tokens.{0} is still that of the example, which everybody knows")]
    ExampleToken(String),
    /// A management API that nobody may use.
    #[error(
        "nobody could use the API: put tokens into [api.tokens], such as me = \"16 characters or more\""
    )]
    NoTokens,
}

impl Settings {
    /// Reads settings from the text of a file; what is not named has its default.
    ///
    /// # Errors
    /// [`SettingsError`] of the first problem; of the text it has the line.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or_default();
            SettingsError::Text {
                line: before.matches('\n').count() + 1,
                message: plainly(error.message().trim_end()).replace('\n', ", "),
            }
        })?;
        settings.check()?;
        Ok(settings)
    }

    /// Whether all that is set can be.
    ///
    /// # Errors
    /// [`SettingsError`] of the first problem.
    pub fn check(&self) -> Result<(), SettingsError> {
        for (key, value) in self.numbers() {
            must_be_within(key, value.into())?;
        }
        if self.announce.min_interval > self.announce.interval {
            let text = "announce.min_interval is longer than announce.interval";
            return Err(SettingsError::Unfit(text));
        }
        if self.announce.peer_timeout <= self.announce.interval {
            let text =
                "announce.peer_timeout has to be longer than announce.interval, or all peers go";
            return Err(SettingsError::Unfit(text));
        }
        if self.announce.default_peers > self.announce.most_peers {
            let text = "announce.default_peers is more than announce.most_peers";
            return Err(SettingsError::Unfit(text));
        }
        if self.database.kind == DatabaseKind::PostgreSql && self.database.url.0.is_empty() {
            return Err(SettingsError::Unfit(
                "database.url is needed for postgresql",
            ));
        }
        self.check_addresses()?;
        self.check_tls()?;
        self.api.as_ref().map_or(Ok(()), check_tokens)
    }

    /// Every number, by its key.
    pub(super) fn numbers(&self) -> Vec<(&'static str, u32)> {
        let (announce, swarms, database) = (&self.announce, &self.swarms, &self.database);
        let mut numbers = vec![
            ("workers", self.workers.into()),
            ("stop_seconds", self.stop_seconds),
            ("announce.interval", announce.interval),
            ("announce.min_interval", announce.min_interval),
            ("announce.peer_timeout", announce.peer_timeout),
            ("announce.default_peers", announce.default_peers),
            ("announce.most_peers", announce.most_peers),
            ("swarms.most_torrents", swarms.most_torrents),
            ("swarms.most_peers", swarms.most_peers),
            ("swarms.sweep_seconds", swarms.sweep_seconds),
            ("database.write_seconds", database.write_seconds),
            ("database.reload_seconds", database.reload_seconds),
        ];
        for http in &self.http {
            numbers.extend([
                ("http.connections", http.connections),
                ("http.request_seconds", http.request_seconds),
                ("http.idle_seconds", http.idle_seconds),
            ]);
        }
        numbers
    }

    fn check_addresses(&self) -> Result<(), SettingsError> {
        let udp = self.udp.iter().map(|udp| (false, udp.bind));
        let http = self.http.iter().map(|http| (true, http.bind));
        let api = self.api.iter().map(|api| (true, api.bind));
        let health = self.health.iter().map(|health| (true, health.bind));
        let mut taken = BTreeSet::new();
        for server in udp.chain(http).chain(api).chain(health) {
            if server.1.port() != 0 && !taken.insert(server) {
                return Err(SettingsError::Twice(server.1));
            }
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), SettingsError> {
        type Pair<'a> = (SocketAddr, &'a Option<PathBuf>, &'a Option<PathBuf>);
        let http = self.http.iter();
        let http =
            http.map(|http| -> Pair<'_> { (http.bind, &http.certificate, &http.private_key) });
        let api = self.api.iter();
        let api = api.map(|api| (api.bind, &api.certificate, &api.private_key));
        for (bind, certificate, key) in http.chain(api) {
            if certificate.is_some() != key.is_some() {
                return Err(SettingsError::HalfTls(bind));
            }
        }
        Ok(())
    }
}

fn check_tokens(api: &ApiSettings) -> Result<(), SettingsError> {
    if api.tokens.is_empty() {
        return Err(SettingsError::NoTokens);
    }
    for (name, token) in &api.tokens {
        if token.0 == EXAMPLE_TOKEN {
            return Err(SettingsError::ExampleToken(name.clone()));
        }
        if token.0.len() < SHORTEST_TOKEN {
            return Err(SettingsError::ShortToken(name.clone()));
        }
    }
    Ok(())
}

/// What the reader of TOML says, in words that tell what to write instead.
fn plainly(message: &str) -> String {
    match message {
        "invalid type: map, expected a sequence" => {
            "servers may be there several times: write [[udp]] and [[http]]".to_owned()
        }
        "invalid socket address syntax" => {
            format!("{message}: write an IP address and a port, such as 0.0.0.0:6969 or [::]:6969")
        }
        other => other.to_owned(),
    }
}

/// Bytes of a token at least.
const SHORTEST_TOKEN: usize = 16;

fn must_be_within(key: &'static str, value: u64) -> Result<(), SettingsError> {
    let info = KEYS.iter().find(|info| info.name == key);
    match info.and_then(|info| info.range) {
        Some((least, most)) if !(least..=most).contains(&value) => Err(SettingsError::Range {
            key,
            value,
            least,
            most,
        }),
        _ => Ok(()),
    }
}
