//! The Supervisor's public messages, for actix programs that hold its `Addr`.

use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler, Message, ResponseFuture};
use protocol::bitfield::Bitfield;
use tokio::sync::oneshot;

use crate::settings::{Patch, Settings};
use crate::torrent::messages::{Control, Question};
use crate::{
    AddTorrent, CommandError, Farewells, Labels, Limits, Modes, PeerInfo, Reuse, Snapshot,
    SwarmCounts, TorrentId,
};

use super::Supervisor;
use super::errands::Errand;

/// Adds a torrent.
#[derive(Debug, Message)]
#[rtype(result = "Result<TorrentId, CommandError>")]
pub struct Add(pub AddTorrent);

/// Stops a torrent until [`Resume`].
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct Pause(pub TorrentId);

/// Lets a paused torrent go on.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct Resume(pub TorrentId);

/// Hashes a torrent's content again; see [`EngineHandle::recheck`](crate::EngineHandle::recheck).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct Recheck(pub TorrentId);

/// Lets a torrent take content over that lies on this machine; see [`EngineHandle::reuse`](crate::EngineHandle::reuse).
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct TakeOver(pub TorrentId, pub Reuse);

/// Bounds the connections of a torrent; see [`EngineHandle::set_max_peers`](crate::EngineHandle::set_max_peers).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct SetMaxPeers(pub TorrentId, pub Option<u32>);

/// Sets how many peers a torrent serves at a time.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct SetUploadSlots(pub TorrentId, pub Option<u32>);

/// Has a torrent fetched in order, or no longer.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct SetSequential(pub TorrentId, pub bool);

/// Gives a torrent other labels; see [`EngineHandle::set_labels`](crate::EngineHandle::set_labels).
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct SetLabels(pub TorrentId, pub Labels);

/// Turns switches of a torrent on, and then others off; see [`EngineHandle::set_modes`](crate::EngineHandle::set_modes).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct SetModes(pub TorrentId, pub Modes, pub Modes);

/// Announces a torrent as soon as that is allowed; see [`EngineHandle::reannounce`](crate::EngineHandle::reannounce).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct Reannounce(pub TorrentId);

/// Has a torrent announce to other trackers; see [`EngineHandle::replace_trackers`](crate::EngineHandle::replace_trackers).
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct ReplaceTrackers(pub TorrentId, pub Vec<Vec<String>>);

/// Asks for the trackers of a torrent, by tier.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<Vec<String>>, CommandError>")]
pub struct GetTrackers(pub TorrentId);

/// Asks for the connected peers of a torrent.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<PeerInfo>, CommandError>")]
pub struct GetPeers(pub TorrentId);

/// Asks how many of the connected peers of a torrent have each piece.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<u32>, CommandError>")]
pub struct GetAvailability(pub TorrentId);

/// Asks how many bytes of each file of a torrent are there.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<u64>, CommandError>")]
pub struct GetFileProgress(pub TorrentId);

/// Asks which pieces of a torrent are there.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Bitfield, CommandError>")]
pub struct GetPieces(pub TorrentId);

/// Changes the rates of a torrent.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct SetLimits(pub TorrentId, pub Limits);

/// Moves a torrent to another route; see [`EngineHandle::set_hops`](crate::EngineHandle::set_hops).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct SetHops(pub TorrentId, pub u8);

/// Asks for the settings of the moment.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Arc<Settings>")]
pub struct GetSettings;

/// Changes settings, all that is asked for or nothing; see [`EngineHandle::set_settings`](crate::EngineHandle::set_settings).
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Arc<Settings>, CommandError>")]
pub struct SetSettings(pub Patch);

/// Removes a torrent, and its content with `delete_data`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CommandError>")]
pub struct Remove {
    /// Which torrent.
    pub id: TorrentId,
    /// Whether its content is deleted.
    pub delete_data: bool,
}

/// Asks the trackers of a torrent how large its swarm is; see [`EngineHandle::scrape`](crate::EngineHandle::scrape).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<SwarmCounts, CommandError>")]
pub struct Scrape(pub TorrentId);

/// Asks for the state of the moment.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Arc<Snapshot>")]
pub struct GetSnapshot;

/// Stops the engine; answered when everything is saved and said, at the deadline at the latest.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Farewells")]
pub struct Shutdown(pub Duration);

impl Handler<Add> for Supervisor {
    type Result = ResponseFuture<Result<TorrentId, CommandError>>;

    fn handle(&mut self, add: Add, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        self.run_errand(Errand::Add(Box::new(add.0), reply), ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(CommandError::Stopped)) })
    }
}

macro_rules! controls {
    ($($message:ty => $control:expr;)*) => {$(
        impl Handler<$message> for Supervisor {
            type Result = Result<(), CommandError>;

            fn handle(&mut self, message: $message, _: &mut Context<Self>) -> Self::Result {
                let control: fn($message) -> Control = $control;
                self.control(message.0, control(message))
            }
        }
    )*};
}

controls! {
    Pause => |_| Control::Pause;
    Recheck => |_| Control::Recheck;
    Resume => |_| Control::Resume;
    ReplaceTrackers => |message| Control::Trackers(message.1);
    Reannounce => |_| Control::Reannounce;
    SetMaxPeers => |message| Control::MaxPeers(message.1);
    SetModes => |message| Control::Modes(message.1, message.2);
    SetSequential => |message| Control::Sequential(message.1);
    SetLabels => |message| Control::Labels(message.1.shared());
    SetUploadSlots => |message| Control::UploadSlots(message.1);
    SetLimits => |message| Control::Limit(message.1);
    TakeOver => |message| Control::Reuse(message.1);
}

macro_rules! questions {
    ($($message:ty => $question:path: $answer:ty;)*) => {$(
        impl Handler<$message> for Supervisor {
            type Result = ResponseFuture<Result<$answer, CommandError>>;

            fn handle(&mut self, message: $message, _: &mut Context<Self>) -> Self::Result {
                let (reply, answer) = oneshot::channel();
                let asked = self.control(message.0, Control::Ask($question(reply)));
                Box::pin(async move {
                    asked?;
                    answer.await.map_err(|_| CommandError::NoSuchTorrent)
                })
            }
        }
    )*};
}

questions! {
    GetAvailability => Question::Availability: Vec<u32>;
    GetFileProgress => Question::FileProgress: Vec<u64>;
    GetPeers => Question::Peers: Vec<PeerInfo>;
    GetPieces => Question::Pieces: Bitfield;
    GetTrackers => Question::Trackers: Vec<Vec<String>>;
}

impl Handler<Remove> for Supervisor {
    type Result = Result<(), CommandError>;

    fn handle(&mut self, message: Remove, _: &mut Context<Self>) -> Self::Result {
        self.child(message.id)?;
        self.remove(message.id, message.delete_data, oneshot::channel().0);
        Ok(())
    }
}

impl Handler<GetSettings> for Supervisor {
    type Result = Arc<Settings>;

    fn handle(&mut self, _: GetSettings, _: &mut Context<Self>) -> Self::Result {
        self.settings.full()
    }
}

impl Handler<SetSettings> for Supervisor {
    type Result = Result<Arc<Settings>, CommandError>;

    fn handle(&mut self, message: SetSettings, ctx: &mut Context<Self>) -> Self::Result {
        self.set_settings(&message.0, ctx)
    }
}

impl Handler<SetHops> for Supervisor {
    type Result = ResponseFuture<Result<(), CommandError>>;

    fn handle(&mut self, message: SetHops, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        self.run_errand(Errand::Move(message.0, message.1, reply), ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(CommandError::Stopped)) })
    }
}

impl Handler<Scrape> for Supervisor {
    type Result = ResponseFuture<Result<SwarmCounts, CommandError>>;

    fn handle(&mut self, message: Scrape, _: &mut Context<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        self.scrape(message.0, reply);
        Box::pin(async move { answer.await.unwrap_or(Err(CommandError::Stopped)) })
    }
}

impl Handler<GetSnapshot> for Supervisor {
    type Result = Arc<Snapshot>;

    fn handle(&mut self, _: GetSnapshot, _: &mut Context<Self>) -> Arc<Snapshot> {
        self.publish();
        self.snapshots.borrow().clone()
    }
}

impl Handler<Shutdown> for Supervisor {
    type Result = ResponseFuture<Farewells>;

    fn handle(&mut self, shutdown: Shutdown, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, done) = oneshot::channel();
        self.stop_all(shutdown.0, reply, ctx);
        Box::pin(async move { done.await.unwrap_or_default() })
    }
}
