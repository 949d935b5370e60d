//! What people and programs tell an engine to do.

use std::time::Duration;

use actix::{ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, StreamHandler};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::announce::desk::Desk;
use crate::command::Command;
use crate::torrent::messages::{Control, Stop};
use crate::{CommandError, Farewells, SwarmCounts, TorrentId};

use super::errands::Errand;
use super::{Child, Leaving, Supervisor};

impl StreamHandler<Command> for Supervisor {
    fn handle(&mut self, command: Command, ctx: &mut Context<Self>) {
        match command {
            Command::Add(add, reply) => {
                self.run_errand(Errand::Add(add, reply), ctx);
            }
            Command::AddPeer(id, peer, reply) => {
                let _ = reply.send(self.control(id, Control::AddPeer(peer)));
            }
            Command::Look(name, said, reply) => {
                self.run_errand(Errand::Look(name, said, reply), ctx);
            }
            Command::Limit(None, limits, reply) => {
                self.set_rates(limits);
                let _ = reply.send(Ok(()));
            }
            Command::Limit(Some(id), limits, reply) => {
                let _ = reply.send(self.control(id, Control::Limit(limits)));
            }
            Command::Control(id, control, reply) => {
                let _ = reply.send(self.control(id, *control));
            }
            Command::Metrics(reply) => {
                let _ = reply.send(Ok((self.measure(), self.dht())));
            }
            Command::WatchPorts(ports, reply) => {
                self.watch_ports(ports);
                let _ = reply.send(Ok(()));
            }
            Command::Pause(id, reply) => {
                let _ = reply.send(self.control(id, Control::Pause));
            }
            Command::Recheck(id, reply) => {
                let _ = reply.send(self.control(id, Control::Recheck));
            }
            Command::Classes(change, reply) => {
                let changed = self.change_classes(*change);
                let _ = reply.send(changed.map_err(CommandError::Class));
            }
            Command::Reopen(reply) => {
                let _ = reply.send(self.reopen_network(ctx));
            }
            Command::Queue(reply) => self.queue(reply),
            Command::Shift(id, to, reply) => {
                let _ = reply.send(self.shift(id, to));
            }
            Command::Find(hash, reply) => {
                let known = self.by_hash.get(&hash).copied();
                let _ = reply.send(Ok(known.filter(|id| self.child(*id).is_ok())));
            }
            Command::Halt(halted, reply) => {
                self.halt(halted);
                let _ = reply.send(Ok(()));
            }
            Command::Histories(ids, reply) => self.histories(&ids, reply),
            Command::Reach(hops, reply) => {
                let reach = self.reach(hops, ctx).map_err(CommandError::Route);
                let _ = reply.send(reach);
            }
            Command::Remove(id, delete_data, reply) => self.remove(id, delete_data, reply),
            Command::Resume(id, reply) => {
                let _ = reply.send(self.control(id, Control::Resume));
            }
            Command::Reuse(id, reuse, reply) => {
                let _ = reply.send(self.control(id, Control::Reuse(reuse)));
            }
            Command::Scrape(id, reply) => self.scrape(id, reply),
            Command::SetHops(id, hops, reply) => {
                self.run_errand(Errand::Move(id, hops, reply), ctx);
            }
            Command::SetSettings(patch, reply) => {
                let _ = reply.send(self.set_settings(&patch, ctx));
            }
            Command::Shutdown(deadline, reply) => self.stop_all(deadline, reply, ctx),
            Command::Sift(reply) => {
                for child in self.torrents.values().filter(|child| !child.is_leaving()) {
                    child.say(Control::Sift);
                }
                let _ = reply.send(Ok(()));
            }
        }
    }

    /// All handles are gone; the engine goes on for those who hold the `Addr`.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

/// How long the last of what is kept may take to reach the disk, where the deadline leaves no time for it.
const LAST: Duration = Duration::from_secs(1);

impl Supervisor {
    /// A torrent that is not about to go.
    pub(super) fn child(&self, id: TorrentId) -> Result<&Child, CommandError> {
        let child = self.torrents.get(&id).filter(|child| !child.is_leaving());
        child.ok_or(CommandError::NoSuchTorrent)
    }

    /// A torrent that carries commands out.
    pub(super) fn working(&self, id: TorrentId) -> Result<&Child, CommandError> {
        let child = self.child(id)?;
        if child.awake().is_some_and(|awake| awake.given_up) {
            return Err(CommandError::GivenUp);
        }
        Ok(child)
    }

    pub(super) fn scrape(
        &mut self,
        id: TorrentId,
        reply: oneshot::Sender<Result<SwarmCounts, CommandError>>,
    ) {
        match self.working(id) {
            Ok(_) => self.pass_on(id, Control::Scrape(reply)),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    pub(super) fn control(&mut self, id: TorrentId, control: Control) -> Result<(), CommandError> {
        self.working(id)?;
        self.pass_on(id, control);
        Ok(())
    }

    /// Ends all torrents, and then the engine; at the deadline at the latest.
    pub(super) fn stop_all(
        &mut self,
        deadline: Duration,
        reply: oneshot::Sender<Farewells>,
        ctx: &mut Context<Self>,
    ) {
        self.stopping = true;
        self.routes.close_doors();
        let desks: Vec<(Desk, Farewells)> = self
            .routes
            .iter()
            .map(|route| route.reach.desk.clone())
            .map(|desk| (desk.clone(), desk.farewells().since(Farewells::default())))
            .collect();
        let deadline = Instant::now() + deadline;
        let mut waiting = Vec::new();
        for child in self.torrents.values_mut() {
            if child.awake().is_none() && child.leaving.is_none() {
                child.leaving = Some(Leaving::Stopped);
                continue;
            }
            let (done, heard) = oneshot::channel();
            if child.leaving.is_some() {
                // It was told to stop already, perhaps to delete its content, and takes as long as that takes.
                child.waiters.push(done);
                waiting.push(heard);
                continue;
            }
            child.leaving = Some(Leaving::Stopped);
            let stop = Stop {
                delete_data: false,
                removed: false,
                done,
                deadline: deadline.into_std(),
            };
            child.tell(stop);
            waiting.push(heard);
        }
        let all = async move {
            for heard in waiting {
                let _ = tokio::time::timeout_at(deadline, heard).await;
            }
        };
        let kept = actix::fut::wrap_future(all).then(move |(), supervisor: &mut Self, _| {
            let flushed = supervisor.end_session();
            actix::fut::wrap_future(async move {
                let Some(flushed) = flushed else { return };
                match tokio::time::timeout_at(deadline.max(Instant::now() + LAST), flushed).await {
                    Ok(Ok(Err(error))) => {
                        tracing::error!(%error, "not everything of the session is kept");
                    }
                    Ok(_) => {}
                    Err(_) => tracing::error!("the disk took too long to keep the session"),
                }
            })
        });
        ctx.spawn(
            kept.map(move |(), supervisor: &mut Self, ctx: &mut Context<Self>| {
                supervisor.publish();
                let said = desks
                    .iter()
                    .map(|(desk, before)| desk.farewells().since(*before));
                let farewells = said.fold(Farewells::default(), Farewells::and);
                if farewells.unheard() > 0 {
                    tracing::info!(?farewells, "not every tracker heard that we leave");
                }
                let _ = reply.send(farewells);
                ctx.stop();
            }),
        );
    }
}
