//! The keys of the tree: their defaults, and what they stand for here.

use serde_json::Value;

use super::is_folder;
use super::proxy::Part;

/// A key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    /// Its default, as JSON.
    default: &'static str,
    pub(super) effect: Effect,
}

/// What a key stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// A setting of the engine that has the same values.
    Setting(&'static str),
    /// A bound in bytes a second of all torrents together; 0 is none.
    Rate(Direction),
    /// A length of time, here in minutes.
    Minutes(&'static str),
    /// A length of time, here in whole seconds.
    Seconds(&'static str),
    /// A bound; -1 is what the daemon has it be by itself.
    Unbounded(&'static str),
    /// Two switches in one.
    Both([&'static str; 2]),
    /// A part of the address of the proxy.
    Proxy(Part),
    /// The folder of what is added here.
    Content,
    /// The port of the API, which cannot be changed here.
    Port,
    /// It is always as it is by default.
    Always,
    /// It is kept, and nothing comes of it.
    None,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Down,
    Up,
}

impl Direction {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Down => "limits.down",
            Self::Up => "limits.up",
        }
    }
}

impl Key {
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    pub(crate) fn default(&self) -> Value {
        serde_json::from_str(self.default).unwrap_or_default()
    }

    /// Whether a value is of the kind of the default.
    ///
    /// # Errors
    /// What it should be.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let due = match self.default() {
            Value::Bool(_) => "true or false",
            Value::Number(number) if number.is_f64() => "a number",
            Value::Number(_) => "a whole number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Null | Value::Object(_) => "a text or null",
        };
        let is = match value {
            Value::Bool(_) => due == "true or false",
            Value::Number(number) => {
                due == "a number" || (due == "a whole number" && !number.is_f64())
            }
            Value::String(_) => due == "a text" || due == "a text or null",
            Value::Array(_) => due == "a list",
            Value::Null => due == "a text or null",
            Value::Object(_) => false,
        };
        if !is {
            return Err(format!("this is {due}"));
        }
        let is_before = value.as_f64().is_some_and(|number| number < 0.0);
        let is_nowhere = value
            .as_str()
            .is_some_and(|dir| !dir.is_empty() && !is_folder(dir));
        if matches!(self.effect, Effect::Minutes(_)) && is_before {
            return Err("this is a number of minutes from 0".to_owned());
        }
        if matches!(self.effect, Effect::Content) && is_nowhere {
            return Err("a folder is named from the root".to_owned());
        }
        Ok(())
    }
}

/// Finds a key.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    let mut keys = KEYS.iter();
    keys.find(|key| key.section == section && key.name == name)
}

macro_rules! keys {
    ($($section:ident { $($name:ident = $default:literal $(=> $effect:expr)?;)* })*) => {
        /// All keys.
        pub(crate) const KEYS: &[Key] = &[$($(Key {
            section: stringify!($section),
            name: stringify!($name),
            default: $default,
            effect: keys!(@ $($effect)?),
        }),*),*];
    };
    (@) => { Effect::None };
    (@ $effect:expr) => { $effect };
}

keys! {
    general {
        version = "\"\"";
        log_dir = "\"logs\"";
        testnet = "false";
        version_checker_enabled = "true";
    }
    tunnel_community {
        enabled = "true";
        socks5_listen_ports = "[\"-1\",\"-1\",\"-1\",\"-1\",\"-1\"]";
        exitnode_enabled = "false";
        random_slots = "5";
        competing_slots = "15";
        testnet = "false";
    }
    market_community {
        enabled = "false";
        matchmaker = "true";
        record_transactions = "false";
    }
    discovery_community { enabled = "true"; }
    dht { enabled = "true"; }
    trustchain {
        enabled = "true";
        ec_keypair_filename = "\"ec_multichain.pem\"";
        testnet_keypair_filename = "\"ec_trustchain_testnet.pem\"";
        live_edges_enabled = "true";
        testnet = "false";
    }
    bandwidth_accounting { testnet = "false"; }
    bootstrap {
        enabled = "true";
        max_download_rate = "1000000";
        infohash = "\"b496932f32daad964e1b63188faabf74d22b45ea\"";
    }
    wallets {
        bitcoinlib_enabled = "true";
        dummy_wallets_enabled = "false";
    }
    chant {
        enabled = "true";
        manager_enabled = "true";
        channel_edit = "false";
        channels_dir = "\"channels\"";
        testnet = "false";
    }
    torrent_checking { enabled = "true"; }
    libtorrent {
        enabled = "true" => Effect::Always;
        port = "-1";
        proxy_type = "0" => Effect::Proxy(Part::Kind);
        proxy_server = "\":\"" => Effect::Proxy(Part::Server);
        proxy_auth = "\":\"" => Effect::Proxy(Part::Login);
        max_connections_download = "-1" => Effect::Unbounded("connections.per_torrent");
        max_download_rate = "0" => Effect::Rate(Direction::Down);
        max_upload_rate = "0" => Effect::Rate(Direction::Up);
        utp = "true" => Effect::Both(["connections.outgoing_utp", "connections.incoming_utp"]);
        dht = "true" => Effect::Setting("dht.enabled");
        dht_readiness_timeout = "30";
        anon_listen_port = "-1";
        anon_proxy_type = "0";
        anon_proxy_server_ip = "\"127.0.0.1\"";
        anon_proxy_server_ports = "[\"-1\",\"-1\",\"-1\",\"-1\",\"-1\"]";
        anon_proxy_auth = "null";
    }
    download_defaults {
        anonymity_enabled = "true";
        number_hops = "1";
        safeseeding_enabled = "true" => Effect::Setting("seeding.hidden");
        saveas = "null" => Effect::Content;
        seeding_mode = "\"forever\"" => Effect::Setting("seeding.mode");
        seeding_ratio = "2.0" => Effect::Setting("seeding.ratio");
        seeding_time = "60.0" => Effect::Minutes("seeding.time");
        channel_download = "false";
        add_download_to_channel = "false";
    }
    ipv8 {
        enabled = "true";
        port = "7759";
        address = "\"0.0.0.0\"";
        bootstrap_override = "\"\"";
        statistics = "false";
        walk_interval = "0.5";
        walk_scaling_enabled = "true";
        walk_scaling_upper_limit = "3.0";
    }
    video_server {
        enabled = "true";
        port = "-1";
    }
    watch_folder {
        enabled = "false";
        directory = "\"\"";
    }
    http_api {
        enabled = "true" => Effect::Always;
        port = "-1" => Effect::Port;
        retry_port = "false";
        key = "null" => Effect::Always;
    }
    api {
        http_enabled = "true" => Effect::Always;
        http_port = "-1" => Effect::Port;
        https_enabled = "false" => Effect::Always;
        https_port = "-1" => Effect::Always;
        https_certfile = "\"\"" => Effect::Always;
        key = "null" => Effect::Always;
        retry_port = "false";
    }
    resource_monitor {
        enabled = "true" => Effect::Setting("resources.enabled");
        cpu_priority = "1" => Effect::Setting("resources.priority");
        poll_interval = "5" => Effect::Seconds("resources.every");
        history_size = "20" => Effect::Setting("resources.history");
    }
    popularity_community {
        enabled = "true";
        cache_dir = "\"health_cache\"";
    }
    error_handling { core_error_reporting_requires_user_consent = "true"; }
}
