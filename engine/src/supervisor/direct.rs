//! The direct way is opened anew when its settings change.

use actix::Context;

use crate::CommandError;
use crate::torrent::messages::Control;

use super::Supervisor;

impl Supervisor {
    /// Opens the direct way anew because somebody asks for it.
    pub(super) fn reopen_network(&mut self, ctx: &mut Context<Self>) -> Result<(), CommandError> {
        if self.config.direct.is_none() {
            return Err(CommandError::NotReopened);
        }
        self.reopen_direct(ctx);
        Ok(())
    }

    /// Closes the direct way and opens it as the settings say; torrents go on by it without being taken down, and other routes
    /// begin anew, for they may stand on it. Where it cannot be opened nothing goes anywhere, and it is tried again.
    pub(super) fn reopen_direct(&mut self, ctx: &mut Context<Self>) {
        let Some(way) = self.config.direct.clone() else {
            return;
        };
        let settings = self.settings.full();
        if let Some(old) = self.routes.get(0) {
            old.leave();
        }
        self.routes.close_door(0);
        let opened = way.reopen(&settings).and_then(|direct| {
            self.config.network = direct.network;
            self.config.listen = direct.listen;
            self.config.dht = direct.dht;
            self.config.tracker_socket = direct.tracker_socket;
            self.config.local_discovery = direct.local_discovery;
            let opened = self.routes.open_direct(&self.config);
            opened.map_err(|error| error.to_string().into())
        });
        if let Err(why) = opened {
            self.routes.close_direct(&self.config, &why);
        }
        let Some(route) = self.routes.get(0) else {
            return;
        };
        let (reach, closed) = (route.reach.clone(), route.reach.closed.is_some());
        let awake = self
            .torrents
            .values()
            .filter(|child| child.awake().is_some() && child.hops == 0);
        for child in awake {
            for hash in child.hashes.names() {
                route.tags.insert(hash);
            }
            if !child.is_leaving() {
                child.tell(Control::Move(Box::new(reach.clone())));
            }
        }
        self.tune_dht(&crate::settings::Dht::default());
        self.tell_listening();
        self.publish();
        for (hops, number) in self.routes.others() {
            self.reopen((hops, number), ctx);
        }
        if closed {
            self.reopen_later(0, ctx);
        }
    }
}
