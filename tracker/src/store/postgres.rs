//! PostgreSQL, which several trackers may share: what they complete adds up, and each sees the lists and keys of all.

use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::{Client, Config, NoTls};
use protocol::id::InfoHash;

mod certificate;
mod tls;
mod words;

pub use tls::TlsError;
pub use words::WordsError;

use super::database::{
    Change, Database, DatabaseError, Lists, count, hex, moment, parse_hash, parse_key, unix,
};
use tls::Connector;
use words::{Mode, Words};

/// How long it is waited for a connection, and for the answer of a server that is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// The tables; in `writers` stands which batch of each run was written last, and when.
const TABLES: &str = "
    SET statement_timeout = '60s';
    SET lock_timeout = '10s';
    BEGIN;
    SELECT pg_advisory_xact_lock(7236971);
    CREATE TABLE IF NOT EXISTS whitelist (info_hash TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS torrents (info_hash TEXT PRIMARY KEY, completed BIGINT NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY, valid_until BIGINT);
    CREATE TABLE IF NOT EXISTS writers (writer TEXT PRIMARY KEY, batch BIGINT NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT now());
    DELETE FROM writers WHERE at < now() - INTERVAL '30 days';
    COMMIT;
";

/// A server of PostgreSQL. It is connected to when it is needed, and again when the connection has gone. It waits in a runtime of
/// its own, so that it must be used by a thread that is in none.
pub struct Postgres {
    config: Config,
    /// `None` where connections are never under TLS.
    tls: Option<Connector>,
    client: Option<Client>,
    /// This run.
    writer: String,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// The database that a URL names, or words such as `host=/run/postgresql dbname=tracker`, with `sslmode` and its like as libpq
    /// has them. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`DatabaseError`] where it names none, or files of TLS that cannot be used.
    pub fn new(url: &str) -> Result<Self, DatabaseError> {
        let (words, rest) = words::split(url)?;
        let mut config: Config = rest.parse()?;
        let tls = prepare(&words, &mut config)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(PATIENCE);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(PATIENCE);
        }
        if config.get_application_name().is_none() {
            config.application_name("tribler-rs tracker");
        }
        Ok(Self {
            config,
            tls,
            client: None,
            writer: format!("{:032x}", rand::random::<u128>()),
        })
    }

    /// Does something by the connection that there is, or by a new one. After an error the next comes by a new one: what has
    /// become of this one nobody knows.
    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Client, &str) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let open = self.client.take().filter(|client| !client.is_closed());
        let mut client = if let Some(client) = open {
            client
        } else {
            let mut client = match &self.tls {
                None => self.config.connect(NoTls)?,
                Some(tls) => self.config.connect(tls.clone())?,
            };
            client.batch_execute(TABLES)?;
            client
        };
        let done = act(&mut client, &self.writer)?;
        self.client = Some(client);
        Ok(done)
    }
}

/// Sets how connections are made under TLS, and has what begins it; by sockets of the system there is none.
fn prepare(words: &Words, config: &mut Config) -> Result<Option<Connector>, TlsError> {
    if config.get_hosts().is_empty() {
        // Certificates are for names, and an address is one.
        for addr in config.get_hostaddrs().to_vec() {
            config.host(&addr.to_string());
        }
    }
    let is_remote = |host: &Host| matches!(host, Host::Tcp(_));
    if words.mode == Mode::Disable || !config.get_hosts().iter().any(is_remote) {
        config.ssl_mode(SslMode::Disable);
        return Ok(None);
    }
    config.ssl_mode(match words.mode {
        Mode::Disable | Mode::Prefer => SslMode::Prefer,
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
    });
    Connector::new(words).map(Some)
}

impl Database for Postgres {
    fn is_shared(&self) -> bool {
        true
    }

    fn lists(&mut self) -> Result<Lists, DatabaseError> {
        self.with(|client, _| {
            let mut lists = Lists::default();
            for row in client.query("SELECT info_hash FROM whitelist", &[])? {
                lists
                    .torrents
                    .push(parse_hash("whitelist", row.try_get(0)?)?);
            }
            for row in client.query("SELECT key, valid_until FROM keys", &[])? {
                lists
                    .keys
                    .push((parse_key(row.try_get(0)?)?, unix(row.try_get(1)?)));
            }
            Ok(lists)
        })
    }

    fn completed(&mut self, each: &mut dyn FnMut(InfoHash, u32)) -> Result<(), DatabaseError> {
        self.with(|client, _| {
            let mut all = client.transaction()?;
            let text = "SELECT info_hash, completed FROM torrents WHERE completed > 0";
            let portal = all.bind(text, &[])?;
            loop {
                let rows = all.query_portal(&portal, PAGE)?;
                if rows.is_empty() {
                    return Ok(());
                }
                for row in rows {
                    let hash = parse_hash("torrents", row.try_get(0)?)?;
                    each(hash, count(row.try_get(1)?));
                }
            }
        })
    }

    fn add_completed(
        &mut self,
        batch: u64,
        completions: &[(InfoHash, u32)],
        each: &mut dyn FnMut(InfoHash, u32),
    ) -> Result<(), DatabaseError> {
        // In one order everywhere, so that trackers do not wait for each other in a ring.
        let mut sorted = completions.to_vec();
        sorted.sort_unstable();
        let hashes: Vec<String> = sorted.iter().map(|(hash, _)| hex(hash)).collect();
        let counts: Vec<i64> = sorted.iter().map(|(_, count)| i64::from(*count)).collect();
        let batch = i64::try_from(batch).unwrap_or(i64::MAX);
        let rows = self.with(|client, writer| {
            let mut all = client.transaction()?;
            let noted = all.execute(
                "INSERT INTO writers (writer, batch) VALUES ($1, $2) ON CONFLICT (writer) \
                 DO UPDATE SET batch = excluded.batch, at = now() WHERE writers.batch < excluded.batch",
                &[&writer, &batch],
            )?;
            if noted == 0 {
                return Ok(Vec::new());
            }
            let rows = all.query(
                "INSERT INTO torrents (info_hash, completed) SELECT * FROM unnest($1::text[], $2::bigint[]) \
                 ON CONFLICT (info_hash) DO UPDATE SET completed = torrents.completed + excluded.completed \
                 RETURNING info_hash, completed",
                &[&hashes, &counts],
            )?;
            all.commit()?;
            Ok(rows)
        })?;
        for row in rows {
            let hash = parse_hash("torrents", row.try_get(0)?)?;
            each(hash, count(row.try_get(1)?));
        }
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<bool, DatabaseError> {
        self.with(|client, _| {
            let changed = match change {
                Change::List(hash) => client.execute(
                    "INSERT INTO whitelist (info_hash) VALUES ($1) ON CONFLICT DO NOTHING",
                    &[&hex(hash)],
                )?,
                Change::Unlist(hash) => {
                    client.execute("DELETE FROM whitelist WHERE info_hash = $1", &[&hex(hash)])?
                }
                Change::AddKey(key, until) => {
                    let row = client.query_one(
                        "INSERT INTO keys (key, valid_until) VALUES ($1, $2) ON CONFLICT (key) \
                         DO UPDATE SET valid_until = excluded.valid_until RETURNING (xmax = 0)",
                        &[&key.as_str(), &moment(*until)],
                    )?;
                    u64::from(row.try_get::<_, bool>(0)?)
                }
                Change::RemoveKey(key) => {
                    client.execute("DELETE FROM keys WHERE key = $1", &[&key.as_str()])?
                }
            };
            Ok(changed > 0)
        })
    }
}

/// Rows that are read at once.
const PAGE: i32 = 10_000;
