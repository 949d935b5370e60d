//! Who has asked for the jobs under way.

use std::collections::BTreeMap;

use tokio::sync::mpsc::error::TrySendError;

use crate::command::{Client, Finished, Update};
use crate::{Event, JobId, Sampled};

/// Users of jobs. Steps that a slow user does not fetch are kept for the end, except for mere progress.
#[derive(Debug, Default)]
pub(super) struct Clients {
    clients: BTreeMap<JobId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    client: Client,
    peers: Vec<std::net::SocketAddr>,
    samples: Vec<Sampled>,
}

impl Clients {
    pub(super) fn add(&mut self, job: JobId, client: Client) {
        let waiting = Waiting {
            client,
            peers: Vec::new(),
            samples: Vec::new(),
        };
        self.clients.insert(job, waiting);
    }

    /// Passes an event on.
    pub(super) fn tell(&mut self, event: Event) {
        match event {
            Event::Done {
                job,
                outcome,
                progress,
            } => {
                if let Some(waiting) = self.clients.remove(&job) {
                    let _ = waiting.client.done.send(Finished {
                        outcome,
                        progress,
                        peers: waiting.peers,
                        samples: waiting.samples,
                    });
                }
            }
            Event::ExternalAddress(_) => {}
            Event::Peers {
                job,
                peers,
                progress,
            } => self.step(job, Update::Peers(peers, progress)),
            Event::Progress { job, progress } => {
                self.step(job, Update::Progress(progress));
            }
            Event::Sampled {
                job,
                sampled,
                progress,
            } => self.step(job, Update::Sampled(sampled, progress)),
        }
    }

    /// The jobs whose users have gone; they are forgotten.
    pub(super) fn abandoned(&mut self) -> Vec<JobId> {
        let gone = self.clients.iter();
        let gone: Vec<JobId> = gone
            .filter(|(_, waiting)| waiting.client.updates.is_closed())
            .map(|(job, _)| *job)
            .collect();
        for job in &gone {
            self.clients.remove(job);
        }
        gone
    }

    fn step(&mut self, job: JobId, update: Update) {
        let Some(waiting) = self.clients.get_mut(&job) else {
            return;
        };
        // A user that has gone is noticed elsewhere.
        if let Err(TrySendError::Full(update)) = waiting.client.updates.try_send(update) {
            match update {
                Update::Peers(peers, _) => waiting.peers.extend(peers),
                Update::Sampled(sampled, _) => waiting.samples.push(sampled),
                Update::Done(..) | Update::Progress(_) => {}
            }
        }
    }
}
