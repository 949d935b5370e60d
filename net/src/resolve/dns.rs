//! Asks name servers itself, over the sockets of a network: what is bound or simulated stays so for names.

mod provider;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::proto::rr::RData;
use parking_lot::Mutex;

use self::provider::Provider;
use super::ip_literal;
use crate::{Binder, BoxFuture, Dialer, Resolver};

/// How long one question to one server may take. Each is asked twice.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most that is read of a file that names servers.
const MAX_CONFIG: usize = 64 * 1024;

/// Files that name the system's servers; the second one those behind systemd's local one.
const CONFIGS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// Whom to ask for names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameServers {
    given: Vec<SocketAddr>,
    beyond_loopback: bool,
    /// The interface that they are asked by, as its name and its number: link-local addresses are those of its link.
    zone: Option<(String, u32)>,
}

impl NameServers {
    /// Those that the system is configured with when a name is looked up: they change with the network.
    pub fn of_system() -> Self {
        Self::default()
    }

    /// These, or the system's if there are none.
    pub fn these(given: Vec<SocketAddr>) -> Self {
        Self {
            given,
            ..Self::default()
        }
    }

    /// Leaves out the system's servers at loopback addresses, which cannot be asked from another, and would pass a question
    /// on by ways of their own.
    #[must_use]
    pub(crate) fn beyond_loopback(mut self, beyond: bool) -> Self {
        self.beyond_loopback = beyond;
        self
    }

    /// They are asked by sockets that are bound to the interface of this name and number.
    #[must_use]
    pub(crate) fn by_interface(mut self, zone: Option<(String, u32)>) -> Self {
        self.zone = zone;
        self
    }

    fn now(&self) -> Vec<SocketAddr> {
        if !self.given.is_empty() {
            return self.given.clone();
        }
        let configs = CONFIGS.iter().map(|path| read(Path::new(path)));
        let usable = configs.map(|config| self.usable(&config));
        usable
            .into_iter()
            .find(|servers| !servers.is_empty())
            .unwrap_or_default()
    }

    /// The servers that a configuration in the format of `resolv.conf` names.
    fn usable(&self, config: &str) -> Vec<SocketAddr> {
        let lines = config.lines().map(str::split_ascii_whitespace);
        let servers = lines.filter_map(|mut words| {
            let ip = (words.next()? == "nameserver")
                .then(|| self.server(words.next()?))
                .flatten()?;
            (!(self.beyond_loopback && ip.is_loopback())).then(|| SocketAddr::new(ip, 53))
        });
        servers.collect()
    }

    /// A server's address; with a zone (RFC 4007, section 11) only where that is the interface. Sockets that are bound to it
    /// need not be told of it again.
    fn server(&self, text: &str) -> Option<IpAddr> {
        let Some((ip, zone)) = text.split_once('%') else {
            return text.parse().ok();
        };
        let (name, index) = self.zone.as_ref()?;
        let ours = zone == name || zone.parse() == Ok(*index);
        ours.then(|| ip.parse().ok()).flatten().map(IpAddr::V6)
    }
}

fn read(path: &Path) -> String {
    use io::Read;
    let mut text = String::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(MAX_CONFIG as u64).read_to_string(&mut text);
    }
    text
}

/// Looks names up in the file of hosts, and then by asking name servers over UDP, and TCP for long answers.
pub struct Dns {
    provider: Provider,
    servers: NameServers,
    current: Mutex<Option<(Vec<SocketAddr>, Arc<Asker>)>>,
}

type Asker = hickory_resolver::Resolver<Provider>;

impl Dns {
    /// Asks the servers over what these open.
    pub fn new(dialer: Arc<dyn Dialer>, binder: Arc<dyn Binder>, servers: NameServers) -> Self {
        Self {
            provider: Provider::new(dialer, binder),
            servers,
            current: Mutex::default(),
        }
    }

    /// Whoever asks the servers of now.
    fn asker(&self) -> io::Result<Arc<Asker>> {
        let servers = self.servers.now();
        if servers.is_empty() {
            let why = "no name server can be asked from here; give one, or an address instead of the name";
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        let mut current = self.current.lock();
        if let Some((of, asker)) = &*current
            && *of == servers
        {
            return Ok(Arc::clone(asker));
        }
        let configs = servers.iter().map(|server| {
            let mut ways = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for way in &mut ways {
                way.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, ways)
        });
        let config = ResolverConfig::from_name_servers(configs.collect());
        let mut builder = Asker::builder_with_config(config, self.provider.clone());
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.timeout = PATIENCE;
        options.attempts = 2;
        options.cache_size = 256;
        let asker = Arc::new(builder.build().map_err(io::Error::other)?);
        *current = Some((servers, Arc::clone(&asker)));
        Ok(asker)
    }
}

impl Resolver for Dns {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            if let Some(ip) = ip_literal(host) {
                return Ok(vec![SocketAddr::new(ip, port)]);
            }
            let found = self.asker()?.lookup_ip(host).await;
            let found = found.map_err(|error| {
                let kind = if error.is_no_records_found() {
                    io::ErrorKind::NotFound
                } else {
                    io::ErrorKind::Other
                };
                io::Error::new(kind, error)
            })?;
            let mut addrs: Vec<SocketAddr> = Vec::new();
            for ip in found.iter() {
                let addr = SocketAddr::new(ip.to_canonical(), port);
                if !addrs.contains(&addr) {
                    addrs.push(addr);
                }
            }
            if addrs.is_empty() {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(addrs)
        })
    }

    fn texts<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<Vec<u8>>>> {
        Box::pin(async move {
            // A name that is whole is not tried in the domains of this machine.
            let name = format!("{}.", host.trim_end_matches('.'));
            let found = match self.asker()?.txt_lookup(name).await {
                Ok(found) => found,
                Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
                Err(error) => return Err(io::Error::other(error)),
            };
            let texts = found.answers().iter().filter_map(|record| {
                let RData::TXT(text) = &record.data else {
                    return None;
                };
                Some(text.txt_data.concat())
            });
            Ok(texts.collect())
        })
    }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
