//! Every key of the settings, for people.

use std::fmt::Write as _;

/// A key of the settings.
#[derive(Clone, Copy, Debug)]
pub struct KeyInfo {
    /// Its name, the table in front.
    pub name: &'static str,
    /// Its default as TOML has it; empty where it has none.
    pub default: &'static str,
    /// What numbers it takes.
    pub range: Option<(u64, u64)>,
    /// The unit of the number, or what else it takes.
    pub unit: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether a change holds when the file is read again; else when the tracker starts again.
    pub live: bool,
}

const fn key(
    name: &'static str,
    default: &'static str,
    unit: &'static str,
    about: &'static str,
) -> KeyInfo {
    KeyInfo {
        name,
        default,
        range: None,
        unit,
        about,
        live: false,
    }
}

impl KeyInfo {
    const fn within(self, least: u64, most: u64) -> Self {
        Self {
            range: Some((least, most)),
            ..self
        }
    }

    const fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// The table that it is in; those in doubled brackets can be there more than once.
    pub(super) fn section(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(table, _)| table) {
            None => "",
            Some("udp") => "[[udp]]",
            Some("http") => "[[http]]",
            Some("announce") => "[announce]",
            Some("swarms") => "[swarms]",
            Some("access") => "[access]",
            Some("database") => "[database]",
            Some("api") => "[api]",
            Some("api.tokens") => "[api.tokens]",
            Some(_) => "[health]",
        }
    }

    pub(super) fn short(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// What it takes, in words.
    fn takes(&self) -> String {
        match self.range {
            Some((least, most)) => format!("{}, {least} to {most}", self.unit),
            None => self.unit.to_owned(),
        }
    }
}

/// The token of the example, which everybody knows.
pub(super) const EXAMPLE_TOKEN: &str = "change me to 16 or more";

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Every key, in the order of the file.
pub const KEYS: &[KeyInfo] = &[
    key("workers", "0", "threads", "Threads for each address of UDP and of HTTP; 0 is one for each core").within(0, 1024),
    key("stop_seconds", "30", "seconds", "How long clients and the database may take when the tracker ends").within(0, 600).live(),
    key("external_ip", "", "an IP address", "Instead of loopback addresses of peers, which nobody else reaches"),
    key("announce.interval", "1800", "seconds", "Until a peer's next announce").within(1, DAY).live(),
    key("announce.min_interval", "900", "seconds", "That a peer waits at least (HTTP)").within(1, DAY).live(),
    key("announce.peer_timeout", "3780", "seconds", "After which a silent peer is forgotten; longer than the interval").within(2, 7 * DAY).live(),
    key("announce.default_peers", "74", "peers", "For whoever does not say how many it wants").within(0, 1000).live(),
    key("announce.most_peers", "74", "peers", "For anybody at most; an answer by UDP has up to 202 of IPv4 and 67 of IPv6").within(0, 1000).live(),
    key("announce.tells_completed", "false", "true or false", "Peers hear how often the torrent was completed, and how many do not have it (HTTP, BEP 21)").live(),
    key("swarms.most_torrents", "10000000", "torrents", "At most; strangers can announce any hash where there is no list").within(256, 1_000_000_000),
    key("swarms.most_peers", "10000000", "peers", "Of one torrent and family of addresses at most").within(1, 1_000_000_000),
    key("swarms.forget_empty", "true", "true or false", "Torrents go with their last peer, unless their completions are kept"),
    key("swarms.ids", "false", "true or false", "Peer ids are kept, for lists that are not compact: 20 bytes for each peer"),
    key("swarms.reports", "false", "true or false", "What peers tell of their transfer is kept, for the API: 32 bytes for each peer"),
    key("swarms.identity", "\"address\"", "\"address\" or \"peer_id\"", "By what a peer is known again: with \"peer_id\", who knows another's id can take its place"),
    key("swarms.sweep_seconds", "120", "seconds", "Between looks for silent peers").within(1, 3600).live(),
    key("access.listing", "\"open\"", "\"open\", \"allow\" or \"deny\"", "Which torrents are served: all, those on the list, or those not on it").live(),
    key("access.private", "false", "true or false", "Only who has a key is served: by HTTP at /announce/KEY, by UDP with a client that sends the path (BEP 41)").live(),
    key("access.ignore_expiry", "false", "true or false", "Keys hold for ever, whatever was said when they were made").live(),
    key("access.list_file", "", "a file", "Info-hashes that are on the list beside those of the database: 40 hexadecimal digits a line, # begins a comment").live(),
    key("database.kind", "\"sqlite\"", "\"none\", \"sqlite\" or \"postgresql\"", "What keeps the list, keys and completions; several trackers may share one PostgreSQL"),
    key("database.path", "\"tracker.db\"", "a file", "Of SQLite, from the folder of the tracker's state"),
    key("database.url", "\"\"", "a URL", "Of PostgreSQL: postgresql://user:password@host/database, or host=/run/postgresql dbname=tracker; with sslmode and its like as libpq has them"),
    key("database.completed", "true", "true or false", "Completions of torrents are kept; torrents that were completed stay when their last peer has left"),
    key("database.write_seconds", "5", "seconds", "Between writes of completions; what a crash may lose").within(1, 3600).live(),
    key("database.reload_seconds", "60", "seconds", "Between looks at the list and keys that other trackers have written to PostgreSQL; 0 is never").within(0, DAY).live(),
    key("udp.bind", "\"[::]:6969\"", "an address", "Where a UDP tracker listens; [::] takes IPv4 too"),
    key("http.bind", "\"[::]:7070\"", "an address", "Where an HTTP tracker listens; [::] takes IPv4 too"),
    key("http.behind_proxy", "false", "true or false", "Who asks is the right-most address of X-Forwarded-For, and nothing else: nobody but the proxy may reach the port"),
    key("http.compact", "false", "true or false", "Clients that do not say `compact` get compact lists"),
    key("http.absent_left_is_none", "false", "true or false", "A client that does not say what is left has everything, as Torrust takes it"),
    key("http.tells_address", "false", "true or false", "Clients hear their address (BEP 24)"),
    key("http.keep_alive", "true", "true or false", "Connections stay open for further requests, unless hardly any client sends one"),
    key("http.connections", "50000", "connections", "At a time").within(1, 1_000_000),
    key("http.request_seconds", "5", "seconds", "For a request to come whole, and for its answer to be taken").within(1, 600),
    key("http.idle_seconds", "60", "seconds", "Between requests").within(1, 3600),
    key("http.certificate", "", "a file", "Certificates for HTTPS, PEM, its own first; read again with the settings").live(),
    key("http.private_key", "", "a file", "Their key, PEM; read again with the settings").live(),
    key("api.bind", "\"127.0.0.1:1212\"", "an address", "Where the management API listens"),
    key("api.torrust_compat", "false", "true or false", "Refused tokens have the status and text that Torrust has for them: 500 instead of 401"),
    key("api.certificate", "", "a file", "Certificates for HTTPS, PEM; read again with the settings").live(),
    key("api.private_key", "", "a file", "Their key, PEM; read again with the settings").live(),
    key("api.tokens.admin", "\"change me to 16 or more\"", "a text of 16 or more", "What whoever uses the API shows; any number of them, by any name").live(),
    key("health.bind", "\"127.0.0.1:1313\"", "an address", "Where it is told whether all servers answer"),
];

/// The file of settings with all defaults, each explained, all of them comments.
pub fn commented() -> String {
    let mut text = String::from(
        "# Settings of a tracker. Each key is shown with its default, or with an example where it has none.\n\
         # [[udp]] and [[http]] may be there more than once; what is in no file and no flag does not run.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let _ = writeln!(text, "\n#{section}");
        }
        let live = if key.live { "" } else { "; needs a new start" };
        let _ = writeln!(text, "# {} ({}{live})", key.about, key.takes());
        let value = if key.default.is_empty() {
            "\"\""
        } else {
            key.default
        };
        let _ = writeln!(text, "#{} = {value}", key.short());
    }
    text
}

/// The table of all keys, as the documentation has it.
pub fn table() -> String {
    let mut text =
        String::from("| key | default | takes | what | read again |\n|---|---|---|---|---|\n");
    for key in KEYS {
        let default = match key.default {
            "" => "none".to_owned(),
            default => format!("`{default}`"),
        };
        let live = if key.live { "yes" } else { "no" };
        let (name, takes, about) = (key.name, key.takes(), key.about);
        let _ = writeln!(
            text,
            "| `{name}` | {default} | {takes} | {about} | {live} |"
        );
    }
    text
}
