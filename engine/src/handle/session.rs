//! What is asked of all torrents together.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::InfoHash;

use crate::classes::{AddressRange, ClassChange, ClassKind, KindRule, PeerClass};
use crate::command::Command;
use crate::plugins::{ExtensionPort, ExtensionRefusal, ExtensionSpec};
use crate::{CommandError, EngineHandle, TorrentId};

impl EngineHandle {
    /// The torrent that has this hash: its SHA-1, or the first 20 bytes of its SHA-256.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn find(&self, hash: InfoHash) -> Result<Option<TorrentId>, CommandError> {
        self.ask(|reply| Command::Find(hash, reply)).await
    }

    /// Has all torrents stand still, those that come as well, until [`Self::resume_all`]. Which of them are paused by
    /// themselves stays as it is. This is not kept.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn pause_all(&self) -> Result<(), CommandError> {
        self.ask(|reply| Command::Halt(true, reply)).await
    }

    /// Lets all torrents go on that are not paused and do not wait for their turn.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn resume_all(&self) -> Result<(), CommandError> {
        self.ask(|reply| Command::Halt(false, reply)).await
    }

    /// Registers an extension of the protocol between peers (BEP 10) that the engine itself does not know; see
    /// [`ExtensionPort`]. It is offered on connections that begin from then on, never on anonymous routes.
    ///
    /// # Errors
    /// [`ExtensionRefusal`].
    pub fn add_extension(&self, spec: ExtensionSpec) -> Result<ExtensionPort, ExtensionRefusal> {
        self.plugins.add(spec)
    }

    /// The classes of peers, by their names; see [`classes`](crate::classes).
    pub fn peer_classes(&self) -> BTreeMap<String, PeerClass> {
        self.settings.get().peer_classes()
    }

    /// Makes a class of peers.
    ///
    /// # Errors
    /// [`CommandError::Class`] or [`CommandError::Stopped`].
    pub async fn create_peer_class(
        &self,
        name: &str,
        class: PeerClass,
    ) -> Result<(), CommandError> {
        self.change_peer_classes(ClassChange::Create(name.to_owned(), class))
            .await
    }

    /// Changes a class of peers; connections that it has meet its limits at once.
    ///
    /// # Errors
    /// As [`Self::create_peer_class`].
    pub async fn set_peer_class(&self, name: &str, class: PeerClass) -> Result<(), CommandError> {
        self.change_peer_classes(ClassChange::Set(name.to_owned(), class))
            .await
    }

    /// Removes a class of peers, and all that was said of whom it has.
    ///
    /// # Errors
    /// As [`Self::create_peer_class`].
    pub async fn delete_peer_class(&self, name: &str) -> Result<(), CommandError> {
        self.change_peer_classes(ClassChange::Delete(name.to_owned()))
            .await
    }

    /// Says which classes ranges of addresses have, in place of the usual ones, and all of them at once; connections that are
    /// there are looked at again.
    ///
    /// # Errors
    /// As [`Self::create_peer_class`].
    pub async fn set_peer_class_filter(
        &self,
        ranges: Vec<(AddressRange, BTreeSet<String>)>,
    ) -> Result<(), CommandError> {
        self.change_peer_classes(ClassChange::Addresses(ranges))
            .await
    }

    /// Says which classes connections of a kind leave and come into.
    ///
    /// # Errors
    /// As [`Self::create_peer_class`].
    pub async fn set_peer_class_kind(
        &self,
        kind: ClassKind,
        rule: KindRule,
    ) -> Result<(), CommandError> {
        self.change_peer_classes(ClassChange::Kind(kind, rule))
            .await
    }

    /// Changes the classes of peers, which are settings: what was said last holds, by whichever door.
    ///
    /// # Errors
    /// As [`Self::create_peer_class`].
    pub async fn change_peer_classes(&self, change: ClassChange) -> Result<(), CommandError> {
        self.ask(|reply| Command::Classes(Box::new(change), reply))
            .await
    }

    /// Closes the sockets of the direct way and opens them anew, as the settings say: those that listen, those of uTP, of the DHT
    /// and of trackers. Ports are asked of the router again, connections of that way end, torrents go on with what they know,
    /// and circuits, which begin there, are built anew. Where it cannot be opened, it is tried again, and nothing leaves until
    /// then.
    ///
    /// # Errors
    /// [`CommandError::NotReopened`] where the engine was started without
    /// [`EngineConfig::direct`](crate::EngineConfig::direct), or [`CommandError::Stopped`].
    pub async fn reopen_network(&self) -> Result<(), CommandError> {
        self.ask(Command::Reopen).await
    }

    /// Lets go of all peers of a torrent, and forgets all addresses, those that the user named included. Who is banned stays so.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn clear_peers(&self, id: TorrentId) -> Result<(), CommandError> {
        self.control(id, crate::torrent::messages::Control::ClearPeers)
            .await
    }
}
