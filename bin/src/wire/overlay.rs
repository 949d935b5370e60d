//! The part that a process takes in the overlay.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddrV4};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use net::{Network, Pool};
use overlay::bootstrap::Bootstrap;
use tokio::sync::broadcast;
use tunnels::{
    Anonymity, AnonymityConfig, AnonymityError, ClosedCircuit, Communities, Dialect, Roles,
};

use super::bootstrap::tell_unknown;
use super::identity::{Identity, identity_of};
use super::socks::{Socks, SocksWish};
use crate::cli::overlay::{Community, OverlayArgs};
use crate::failure::{Failure, reason};
use crate::screen::Screen;
use crate::text::hex;

/// The file of the identity, in the state directory.
const KEY: &str = "overlay.key";

/// What a process does in the overlay.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// The door to it.
    pub(crate) anonymity: Anonymity,
    /// Our identity, in hex as packets carry it.
    pub(crate) public_key: String,
    /// Which communities were joined.
    pub(crate) communities: Vec<Community>,
    /// The servers for other programs that are wanted.
    socks: Option<SocksWish>,
    /// Kept from other processes.
    _identity: Identity,
}

/// What is done for others, and how the identity is kept.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// What is done for others.
    pub(crate) roles: Roles,
    /// Exits send to this machine only.
    pub(crate) only_local: bool,
    /// The folder of an identity that stays; none for a new one each time.
    pub(crate) state: Option<PathBuf>,
    /// Who is told of circuits that are gone.
    pub(crate) closings: Option<broadcast::Sender<ClosedCircuit>>,
}

impl Overlay {
    /// Takes part as flags ask for it. Must be called inside [`run`](super::run).
    ///
    /// # Errors
    /// [`Failure::Usage`] where flags contradict each other; [`Failure::Failed`] where the socket or the identity cannot be
    /// had.
    pub(crate) fn start(
        args: &OverlayArgs,
        part: Part,
        network: &Network,
        (pool, screen): (&Pool, &Screen),
    ) -> Result<Self, Failure> {
        let socks = SocksWish::of(args, screen)?;
        let communities = args.communities();
        let identity = identity(args, part.state.as_deref())?;
        let public_key = hex(identity.key.public().as_bytes());
        let mut config = AnonymityConfig::new(network.clone(), pool.clone(), identity.key.clone());
        config.known_file = known_file(args, part.state.as_deref(), &communities);
        config.communities = of_wires(&communities)?;
        if let Some(listen) = args.overlay_listen {
            config.listen = listen;
            config.more_ports = 0;
        }
        if !args.overlay_bootstrap.is_empty() {
            config.bootstrap = bootstrap(args);
            let hosts = &config.bootstrap.hosts;
            tell_unknown("--overlay-bootstrap", hosts, network, screen);
        }
        config.roles = part.roles;
        config.closings = part.closings;
        if part.only_local {
            if let Some(public) = communities.iter().find(|it| it.is_public()) {
                let why = format!(
                    "--only-local: strangers are in the community {public}; name one of your own by --overlay-community"
                );
                return Err(Failure::Usage(why));
            }
            config.local_exits = true;
        }
        let listen = config.listen;
        let anonymity = Anonymity::launch(config).map_err(|error| wrong(&error, listen))?;
        Ok(Self {
            anonymity,
            public_key,
            communities,
            socks,
            _identity: identity,
        })
    }

    /// Opens the servers for other programs that are wanted.
    ///
    /// # Errors
    /// [`Failure::Failed`] where a port cannot be had.
    pub(crate) fn open_socks(&self, pool: &Pool) -> Result<Option<Socks>, Failure> {
        let wish = self.socks.as_ref();
        let open = wish.map(|wish| Socks::start(wish, &self.anonymity, pool));
        open.transpose()
    }
}

fn wrong(error: &AnonymityError, listen: SocketAddrV4) -> Failure {
    match error {
        AnonymityError::Socket(error) => {
            Failure::Failed(format!("--overlay-listen {listen}: {}", reason(error)))
        }
        AnonymityError::LocalExits => Failure::Usage(format!(
            "--only-local: the overlay must be at a loopback address too, and --overlay-listen {listen} is none"
        )),
        AnonymityError::Communities | _ => Failure::failed(error),
    }
}

/// The community of each wire.
fn of_wires(asked: &[Community]) -> Result<Communities, Failure> {
    let mut communities = Communities {
        modern: None,
        classic: None,
    };
    for community in asked {
        let place = match community.dialect {
            Dialect::Modern => &mut communities.modern,
            Dialect::Classic => &mut communities.classic,
        };
        if place.replace(community.id).is_some() {
            let why = format!(
                "--overlay-community {community}: another one was named that speaks the same wire; a process is in one of each"
            );
            return Err(Failure::Usage(why));
        }
    }
    Ok(communities)
}

/// Whom to ask first.
fn bootstrap(args: &OverlayArgs) -> Bootstrap {
    let mut bootstrap = Bootstrap::none();
    for server in &args.overlay_bootstrap {
        match net::resolve::ip_literal(&server.host) {
            Some(IpAddr::V4(ip)) => bootstrap.addrs.push(SocketAddrV4::new(ip, server.port)),
            _ => bootstrap.hosts.push((server.host.clone(), server.port)),
        }
    }
    bootstrap
}

/// The identity: that of the file, or a new one where there is no file.
///
/// # Errors
/// As [`identity_of`].
fn identity(args: &OverlayArgs, state: Option<&Path>) -> Result<Identity, Failure> {
    let kept = || {
        let state = state?;
        Some(state.join(KEY))
    };
    let Some(file) = args.overlay_key.clone().or_else(kept) else {
        return Ok(Identity::generate());
    };
    if args.overlay_key.is_none()
        && let Some(state) = state
    {
        private_folder(state).map_err(|error| Failure::on_file(state, &error))?;
    }
    identity_of(&file)
}

/// Where it is kept which nodes are known: beside the identity, and each network by itself.
fn known_file(
    args: &OverlayArgs,
    state: Option<&Path>,
    communities: &[Community],
) -> Option<PathBuf> {
    let beside = args.overlay_key.as_deref().and_then(Path::parent);
    let folder = state.or(beside)?;
    let network = communities.first()?.id.0.get(..4).map(hex)?;
    Some(folder.join(format!("overlay-{network}.known")))
}

/// Makes a folder that only its user may enter; one that is there stays as it is.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_in_one_community_of_each_wire() {
        let of = |names: &[&str]| {
            let asked: Vec<Community> = names.iter().map(|name| name.parse().unwrap()).collect();
            of_wires(&asked)
        };
        assert_eq!(of(&["today", "tribler"]).unwrap(), Communities::TRIBLER);
        assert!(of(&["library"]).unwrap().classic.is_none());
        assert!(matches!(of(&["library", "today"]), Err(Failure::Usage(_))));
    }

    #[test]
    fn servers_are_asked_by_address_where_one_was_named_and_else_by_name() {
        let args = OverlayArgs {
            overlay_bootstrap: vec![
                "127.0.0.1:7".parse().unwrap(),
                "b.example:8".parse().unwrap(),
            ],
            ..OverlayArgs::default()
        };
        let found = bootstrap(&args);
        assert_eq!(found.addrs, ["127.0.0.1:7".parse().unwrap()]);
        assert_eq!(found.hosts, [("b.example".to_owned(), 8)]);
    }

    #[test]
    fn an_identity_is_kept_in_the_state_folder_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        let args = OverlayArgs::default();
        let public = |state| identity(&args, state).unwrap().key.public().clone();
        assert_eq!(public(Some(&*state)), public(Some(&*state)));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.join(KEY)), 0o600);
        assert_eq!(mode(&state), 0o700);
        assert_ne!(public(None), public(None));
    }
}
