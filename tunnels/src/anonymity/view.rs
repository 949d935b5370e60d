//! What there is to be seen of the part in the overlay: its communities, who is known, and what circuits of others go through here.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use overlay::community::Community;
use overlay::dht::DhtClient;
use overlay::directory::Peer;
use overlay::endpoint::Measured;
use overlay::host::HostHandle;
use overlay::introducer::Introducer;
use overlay::introduction;
use overlay::key::PublicKey;
use overlay::packet::{CommunityId, Prefix};
use overlay::walk;

use super::actor::dht_dialect;
use super::{Anonymity, Dialect};
use crate::message::Kind;
use crate::node::{Ending, Relayed};
use crate::swarms::SwarmView;
use crate::{Flags, Head, community};

/// A community that was joined.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommunityView {
    /// What it is.
    pub kind: CommunityKind,
    /// The front of its packets.
    pub prefix: Prefix,
    /// Its name on the wire.
    pub id: CommunityId,
    /// Our identity in it.
    pub own: PublicKey,
    /// The count of its last message.
    pub global_time: u64,
    /// Its members that are known.
    pub peers: Vec<Peer>,
    /// With more members than this nobody further is noted; `None` notes all.
    pub max_peers: Option<usize>,
    /// Our address as others see it, and in the local network.
    pub addrs: [SocketAddrV4; 2],
    /// With how many members the walk contents itself.
    pub enough: usize,
    /// What was counted of it, by the numbers of messages: see [`Anonymity::measure`].
    pub measured: BTreeMap<u8, Measured>,
}

/// What a community is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommunityKind {
    /// The one that everybody is in.
    Discovery,
    /// One of circuits.
    Tunnels(Dialect),
    /// The DHT of IPv8.
    Dht(Dialect),
}

/// A member of a community of circuits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberView {
    /// Which wire it speaks.
    pub dialect: Dialect,
    /// Who it is.
    pub key: PublicKey,
    /// Where it is.
    pub addr: SocketAddrV4,
    /// What it does for others.
    pub flags: Flags,
}

impl CommunityKind {
    /// The name of a message of it, where its number has one.
    pub fn message(self, number: u8) -> Option<String> {
        let own = match self {
            Self::Discovery => overlay::discovery::message_name(number),
            Self::Dht(dialect) => overlay::dht::Message::name(dht_dialect(dialect), number),
            Self::Tunnels(dialect) if number == Head::packet_id(dialect) => Some("cell"),
            Self::Tunnels(dialect) => {
                let kind = Kind::of(dialect, number);
                let own = kind.map(|kind| snake(&format!("{kind:?}")));
                return own.or_else(|| introduction::id::name(number).map(str::to_owned));
            }
        };
        own.or_else(|| introduction::id::name(number))
            .map(str::to_owned)
    }
}

/// `OneWord` as `one_word`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

impl Anonymity {
    /// The circuits of others that go on from here.
    pub fn relayed(&self) -> Vec<Relayed> {
        let nodes = self.inner.lanes.nodes().iter();
        let all = nodes.flat_map(|node| node.with(|node, _| node.relayed().collect::<Vec<_>>()));
        all.collect()
    }

    /// The circuits of others that end here.
    pub fn endings(&self) -> Vec<Ending> {
        let nodes = self.inner.lanes.nodes().iter();
        let all = nodes.flat_map(|node| node.with(|node, _| node.endings().collect::<Vec<_>>()));
        all.collect()
    }

    /// The swarms of hidden peers that were joined, by their names among these.
    pub fn swarms(&self) -> Vec<SwarmView> {
        self.inner.hidden.lock().view()
    }

    /// The members of the communities of circuits that have told what they do for others.
    pub async fn members(&self) -> Vec<MemberView> {
        let communities = self.inner.doors.lock().tunnels.clone();
        let mut members = Vec::new();
        for (dialect, community) in communities {
            let look = move |community: &mut community::TunnelCommunity, _| {
                let all = community.all().map(|(key, addr, flags)| MemberView {
                    dialect,
                    key: key.clone(),
                    addr,
                    flags,
                });
                all.collect::<Vec<_>>()
            };
            members.extend(community.with(look).await.unwrap_or_default());
        }
        members
    }

    /// The communities that were joined.
    pub async fn communities(&self) -> Vec<CommunityView> {
        let (discovery, tunnels, dht) = {
            let doors = self.inner.doors.lock();
            (
                doors.discovery.clone(),
                doors.tunnels.clone(),
                doors.dht.clone(),
            )
        };
        let mut views = Vec::new();
        if let Some(discovery) = discovery {
            let kind = (CommunityKind::Discovery, walk::ENOUGH);
            views.extend(self.look(&discovery, kind, |it| it.introducer()).await);
        }
        for (dialect, community) in tunnels {
            let kind = (CommunityKind::Tunnels(dialect), community::ENOUGH);
            views.extend(self.look(&community, kind, |it| it.introducer()).await);
        }
        for (dialect, node) in dht {
            let kind = (CommunityKind::Dht(dialect), walk::ENOUGH);
            views.extend(self.look(node.host(), kind, |it| it.introducer()).await);
        }
        views
    }

    async fn look<C: Community + 'static>(
        &self,
        community: &HostHandle<C>,
        (kind, enough): (CommunityKind, usize),
        introducer: fn(&C) -> &Introducer,
    ) -> Option<CommunityView> {
        let look = move |community: &mut C, _| {
            let introducer = introducer(community);
            CommunityView {
                kind,
                prefix: introducer.prefix(),
                id: introducer.community(),
                own: introducer.key().public().clone(),
                global_time: introducer.global_time(),
                peers: introducer.peers(),
                max_peers: introducer.max_peers(),
                addrs: [introducer.wan(), introducer.lan()],
                enough,
                measured: BTreeMap::new(),
            }
        };
        let mut view = community.with(look).await.ok()?;
        view.measured = self.inner.endpoint.measured(view.prefix);
        Some(view)
    }

    /// Counts the datagrams of a community by their messages from now on, or no more.
    pub fn measure(&self, community: Prefix, on: bool) {
        self.inner.endpoint.measure(community, on);
    }

    /// Everybody who has proven an identity, with the communities that each is in. Nodes of the DHT are none of them: it has a
    /// directory of its own.
    pub async fn peers(&self) -> Vec<(Peer, Vec<CommunityId>)> {
        let discovery = self.inner.doors.lock().discovery.clone();
        let Some(discovery) = discovery else {
            return Vec::new();
        };
        let look = |discovery: &mut overlay::discovery::Discovery, _| {
            let directory = discovery.introducer().directory();
            let all = directory.all();
            let all = all.map(|peer| (peer.clone(), directory.services(peer.mid()).collect()));
            all.collect()
        };
        discovery.with(look).await.unwrap_or_default()
    }

    /// The node of the DHT of IPv8 of a dialect; without one, of the dialect that is preferred.
    pub fn dht(&self, dialect: Option<Dialect>) -> Option<DhtClient> {
        let doors = self.inner.doors.lock();
        let preferred = self.inner.lanes.nodes().first()?.dialect();
        let dialect = dialect.unwrap_or(preferred);
        let mut dht = doors.dht.iter();
        let node = dht.find(|(spoken, _)| *spoken == dialect);
        node.map(|(_, node)| node.clone())
    }

    /// Has all communities ask a server for introductions when they know too few members.
    pub async fn add_bootstrap(&self, server: SocketAddrV4) {
        async fn add<C: Community + 'static>(community: &HostHandle<C>, server: SocketAddrV4) {
            let add = move |community: &mut C, _| community.add_bootstrap(vec![server]);
            // One that has ended starts again without it.
            let _ = community.with(add).await;
        }
        let (discovery, tunnels, dht) = {
            let doors = self.inner.doors.lock();
            (
                doors.discovery.clone(),
                doors.tunnels.clone(),
                doors.dht.clone(),
            )
        };
        if let Some(discovery) = &discovery {
            add(discovery, server).await;
        }
        for (_, community) in &tunnels {
            add(community, server).await;
        }
        for (_, node) in &dht {
            add(node.host(), server).await;
        }
    }
}
