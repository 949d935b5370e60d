//! The routes that are open: the direct way always, others while torrents use them.

mod open;

use std::time::Duration;

use actix::{AsyncContext as _, Context};

pub(super) use self::open::OpenRoutes;
use super::{Child, Supervisor};
use crate::reach::Reach;
use crate::torrent::messages::Control;
use crate::{CommandError, RouteError, TorrentId};

/// How often it is looked whether a route has circuits.
const LOOK: Duration = Duration::from_millis(100);

impl Supervisor {
    /// What torrents with so many hops reach the world by.
    pub(super) fn reach(&mut self, hops: u8, ctx: &mut Context<Self>) -> Result<Reach, RouteError> {
        let known = self.routes.open.contains_key(&hops);
        let reach = self.routes.ensure(&self.config, hops)?.reach.clone();
        if !known {
            self.look_after(hops, ctx);
        }
        Ok(reach)
    }

    /// Does what a route needs that is new here.
    fn look_after(&self, hops: u8, ctx: &mut Context<Self>) {
        self.reopen_later(hops, ctx);
        if let Some(route) = self.routes.get(hops)
            && hops > 0
            && route.reach.closed.is_none()
        {
            let number = route.number;
            let interval = move |supervisor: &mut Self, ctx: &mut Context<Self>| {
                supervisor.watch(hops, number, ctx);
            };
            ctx.run_later(LOOK, interval);
        }
    }

    /// Tells the torrents of a route as soon as it has circuits again.
    fn watch(&mut self, hops: u8, number: u64, ctx: &mut Context<Self>) {
        let route = self.routes.open.get_mut(&hops);
        let Some(route) = route.filter(|route| route.number == number) else {
            return;
        };
        let lacks = route.reach.network.lacks_circuits();
        if std::mem::replace(&mut route.cut_off, lacks) && !lacks {
            let users = self.torrents.values().filter(|child| child.hops == hops);
            for child in users.filter(|child| !child.is_leaving()) {
                child.say(Control::Look);
            }
        }
        ctx.run_later(LOOK, move |supervisor, ctx| {
            supervisor.watch(hops, number, ctx);
        });
    }

    /// Tells the torrents on the direct way of an outage of it, as long as it lasts and when it is over: those that have nothing
    /// to do do not look by themselves.
    pub(super) fn watch_direct(&mut self) {
        let Some(route) = self.routes.open.get_mut(&0) else {
            return;
        };
        let blocked = route.reach.blocked().is_some();
        if std::mem::replace(&mut route.blocked, blocked) || blocked {
            let users = self.torrents.values().filter(|child| child.hops == 0);
            for child in users.filter(|child| !child.is_leaving()) {
                child.say(Control::Look);
            }
        }
    }

    /// What a torrent reaches the world by that went by so many hops before: where there are no such routes here, one that is
    /// closed, for it goes no other way.
    pub(super) fn reach_kept(&mut self, hops: u8, ctx: &mut Context<Self>) -> Reach {
        match self.reach(hops, ctx) {
            Ok(reach) => reach,
            Err(error) => {
                let route = self.routes.closed(&self.config, (hops, 0), &error);
                let reach = route.reach.clone();
                self.routes.open.insert(hops, route);
                self.look_after(hops, ctx);
                reach
            }
        }
    }

    /// Tries again after a while to open a route, where it could not be opened.
    pub(super) fn reopen_later(&self, hops: u8, ctx: &mut Context<Self>) {
        let Some(route) = self.routes.get(hops) else {
            return;
        };
        let number = route.number;
        if let Some(pause) = route.retry() {
            ctx.run_later(pause, move |supervisor, ctx| {
                supervisor.reopen((hops, number), ctx);
            });
        }
    }

    pub(super) fn reopen(&mut self, (hops, number): (u8, u64), ctx: &mut Context<Self>) {
        let known = self.routes.get(hops).filter(|known| known.number == number);
        let Some(failures) = known.map(|known| known.failures) else {
            return;
        };
        if hops == 0 {
            self.reopen_direct(ctx);
            return;
        }
        let Ok(route) = self.routes.open(&self.config, hops, failures) else {
            return;
        };
        let reach = route.reach.clone();
        if let Some(old) = self.routes.get(hops) {
            old.leave();
        }
        let awake = self
            .torrents
            .values()
            .filter(|child| child.awake().is_some());
        let users = || awake.clone().filter(|child| child.hops == hops);
        for hash in users().flat_map(|child| child.hashes.names()) {
            route.tags.insert(hash);
        }
        for child in users().filter(|child| !child.is_leaving()) {
            child.say(Control::Move(Box::new(reach.clone())));
        }
        self.routes.open.insert(hops, route);
        self.look_after(hops, ctx);
    }

    /// Lets go of routes that no torrent uses.
    pub(super) fn close_idle_routes(&mut self) {
        let torrents = &self.torrents;
        let uses = |hops: u8| {
            let mut all = torrents.values();
            all.any(|child| child.hops == hops && child.awake().is_some())
        };
        self.routes.open.retain(|hops, route| {
            // Most often there is no other, and torrents go by the thousands.
            let stays = *hops == 0 || uses(*hops);
            if !stays {
                route.leave();
            }
            stays
        });
    }

    /// Moves a torrent to another route.
    pub(super) fn set_hops(
        &mut self,
        id: TorrentId,
        hops: u8,
        ctx: &mut Context<Self>,
    ) -> Result<(), CommandError> {
        if self.working(id)?.hops == hops {
            return Ok(());
        }
        let child = self.torrents.get(&id);
        if let Some(mut record) = child
            .filter(|child| child.awake().is_none())
            .and_then(Child::record)
        {
            record.hops = hops;
            self.moved_asleep(id, &record);
            self.close_idle_routes();
            return Ok(());
        }
        let reach = self.reach(hops, ctx).map_err(CommandError::Route)?;
        let control = Control::Move(Box::new(reach));
        if let Some(child) = self.torrents.get_mut(&id) {
            let before = std::mem::replace(&mut child.hops, hops);
            for name in child.hashes.names() {
                if let Some(route) = self.routes.get(before) {
                    route.tags.remove(name);
                }
                if let Some(route) = self.routes.get(hops) {
                    route.tags.insert(name);
                }
            }
        }
        let done = self.control(id, control);
        self.close_idle_routes();
        done
    }
}
