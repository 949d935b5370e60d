//! The direct way of a daemon, which settings may change while it runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::dht::DhtHandle;
use engine::settings::NetworkSettings;
use engine::units::Size;
use engine::{Direct, DirectWay, Settings};
use net::port_map::{PortMap, Ports};
use net::resolve::NameServers;
use net::{Cut, Filter, Network, Pool, RealOptions, SocketTuning};
use parking_lot::Mutex;

use super::circuits::Circuits;
use super::{PortTries, asking, dht, doors, listen_address, port_map};
use crate::cli::transfer::{Common, ProxyUrl};
use crate::failure::{Failure, reason};

/// What the direct way is opened with, and how it is open.
pub(crate) struct Wires {
    /// What the command line said.
    flags: Common,
    /// What settings of the network said when it was opened first.
    begun: NetworkSettings,
    filter: Option<Filter>,
    circuits: Circuits,
    state: PathBuf,
    pool: Pool,
    open: Mutex<Open>,
}

/// How it is open.
pub(super) struct Open {
    pub(super) cut: Cut,
    pub(super) network: Network,
    pub(super) port_map: Option<PortMap>,
    pub(super) dht: Option<dht::Running>,
}

/// What the command line and the settings say together: what was set since the start comes before flags, these before what was set
/// before.
pub(crate) fn settled(flags: &Common, now: &NetworkSettings, begun: &NetworkSettings) -> Common {
    let mut common = flags.clone();
    common.listen = choose([now.listen, begun.listen], flags.listen);
    common.bind = choose([now.bind.clone(), begun.bind.clone()], flags.bind.clone());
    let of = |settings: &NetworkSettings| {
        let url = settings.proxy.as_ref();
        url.map(|url| ProxyUrl::of(url.proxy().clone()))
    };
    common.proxy = if now.proxy == begun.proxy {
        flags.proxy.clone().or_else(|| of(now))
    } else {
        of(now).or_else(|| flags.proxy.clone())
    };
    common
}

/// What the settings have sockets given.
pub(super) fn tuning(settings: &NetworkSettings) -> SocketTuning {
    let bytes = |size: Size| usize::try_from(size.0).ok().filter(|bytes| *bytes > 0);
    SocketTuning {
        dscp: u8::try_from(settings.dscp).unwrap_or(0),
        receive_buffer: bytes(settings.receive_buffer),
        send_buffer: bytes(settings.send_buffer),
    }
}

fn choose<T: PartialEq>([now, begun]: [Option<T>; 2], flag: Option<T>) -> Option<T> {
    if now == begun {
        flag.or(now)
    } else {
        now.or(flag)
    }
}

impl Wires {
    pub(super) fn new(
        (flags, begun): (&Common, &NetworkSettings),
        (filter, circuits): (Option<Filter>, &Circuits),
        (state, pool): (&Path, &Pool),
        open: Open,
    ) -> Self {
        Self {
            flags: flags.clone(),
            begun: begun.clone(),
            filter,
            circuits: circuits.clone(),
            state: state.to_owned(),
            pool: pool.clone(),
            open: Mutex::new(open),
        }
    }

    /// The direct way as it is now.
    pub(crate) fn network(&self) -> Network {
        self.open.lock().network.clone()
    }

    /// The ports that the router has given, if it was asked for any.
    pub(super) fn ports(&self) -> Option<Ports> {
        self.open.lock().port_map.as_ref().map(PortMap::ports)
    }

    /// Where our node of the DHT is, if there is one.
    pub(super) fn dht_addr(&self) -> Option<SocketAddr> {
        self.open.lock().dht.as_ref().map(|node| node.at)
    }

    /// Our node of the DHT, if there is one.
    pub(crate) fn dht(&self) -> Option<DhtHandle> {
        self.open.lock().dht.as_ref().map(dht::Running::node)
    }

    /// What outlives the engine.
    pub(super) fn end(&self) -> (Option<PortMap>, Option<dht::Running>) {
        let mut open = self.open.lock();
        (open.port_map.take(), open.dht.take())
    }

    fn open(&self, settings: &Settings, open: &mut Open) -> Result<Direct, Failure> {
        let common = settled(&self.flags, &settings.network, &self.begun);
        let listen = listen_address(&common)?;
        let tuning = tuning(&settings.network);
        let base = match &common.bind {
            Some(bind) => {
                let servers = common.dns.iter().map(|server| server.0);
                let servers = NameServers::these(servers.collect());
                let bound = Network::bound_with(bind, servers, tuning, &self.pool);
                bound.map_err(|error| Failure::Failed(format!("{bind}: {}", reason(&error))))?
            }
            None => match common.listen {
                Some(at) => Network::real(RealOptions::from_source(at.ip()).tuned(tuning)),
                None => Network::real(RealOptions::default().tuned(tuning)),
            },
        };
        let (base, cut) = base.with_cut();
        open.cut = cut;
        let proxy = common.proxy()?;
        let outward = match proxy {
            Some(proxy) => base.through(proxy),
            None => base,
        };
        let outward = match &self.filter {
            Some(filter) => outward.filtered(filter),
            None => outward,
        };
        let datagrams = proxy.is_none_or(net::Proxy::has_datagrams);
        self.circuits.begin_at(&outward, datagrams);
        let ports = PortTries::of(settings);
        let doors = doors(&common, (listen, ports), &outward, &self.pool)?;
        open.network = doors.network.clone();
        let socket = doors.datagrams.as_ref().map(|open| Arc::clone(&open.dht));
        let place = dht::Place {
            listen: doors.listen.unwrap_or(listen),
            socket,
            more: doors.more,
        };
        match &mut open.dht {
            // What an HTTP proxy does not carry waits until it is gone.
            _ if !datagrams => {}
            Some(node) => node.rebind(proxy.is_some(), place, &doors.network, &self.pool)?,
            missing => {
                let (network, state) = (&doors.network, Some(&*self.state));
                *missing = dht::start(&common, place, network, &self.pool, state)?;
            }
        }
        let place = (doors.listen, asking(settings));
        open.port_map = port_map(&common, place, &doors.network, &self.pool);
        Ok(Direct {
            network: doors.network,
            listen: doors.listen,
            dht: open
                .dht
                .as_ref()
                .filter(|_| datagrams)
                .map(dht::Running::door),
            tracker_socket: doors.datagrams.map(|open| open.trackers),
            local_discovery: proxy.is_none(),
        })
    }
}

impl DirectWay for Wires {
    fn reopen(&self, settings: &Settings) -> Result<Direct, Arc<str>> {
        let mut open = self.open.lock();
        open.cut.cut();
        open.network = Network::none();
        open.port_map = None;
        let opened = self.open(settings, &mut open);
        if opened.is_err() {
            open.cut.cut();
            open.network = Network::none();
            self.circuits.begin_at(&Network::none(), true);
        }
        opened.map_err(|failure| failure.to_string().into())
    }
}

impl std::fmt::Debug for Wires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wires").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_since_the_start_comes_before_flags_and_these_before_what_was_set_before() {
        let (a, b, flag) = (Some(1), Some(2), Some(3));
        assert_eq!(choose([a, a], None), a, "of the file");
        assert_eq!(choose([a, a], flag), flag, "a flag comes before a file");
        assert_eq!(choose([b, a], flag), b, "it was set since");
        assert_eq!(choose([None, a], flag), flag, "it was unset since");
        assert_eq!(choose([None::<u8>, None], None), None);
    }

    #[test]
    fn sockets_are_given_what_the_settings_say() {
        let usual = NetworkSettings::default();
        assert_eq!(tuning(&usual), SocketTuning::default());
        let said = NetworkSettings {
            dscp: 8,
            receive_buffer: Size(65_536),
            send_buffer: Size(32_768),
            ..usual
        };
        let given = tuning(&said);
        assert_eq!((given.dscp, given.receive_buffer), (8, Some(65_536)));
        assert_eq!(given.send_buffer, Some(32_768));
    }
}
