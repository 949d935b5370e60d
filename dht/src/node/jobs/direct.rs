//! Jobs that ask one node alone.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::krpc::{Message, Response};

use crate::node::Node;
use crate::question::Answer;
use crate::request::{Event, JobId, Outcome, Pong, Request};

impl Node {
    /// A node that was asked alone has answered.
    pub(in crate::node) fn direct_answered(
        &mut self,
        id: JobId,
        from: SocketAddr,
        took: Duration,
        message: &Message<'_>,
        response: &Response<'_>,
    ) {
        let Some(mut job) = self.jobs.remove(&id) else {
            return;
        };
        let found = job.take(from.ip(), response, 1);
        job.direct.answered = 1;
        let outcome = match job.request {
            Request::Ask(..) => {
                let answer = Answer::read(from, (took, message.version), response);
                Outcome::Answered(Box::new(answer))
            }
            Request::Ping(_) => Outcome::Pong(Pong {
                id: response.id,
                rtt: took,
                version: message.version.map(<[u8]>::to_vec),
            }),
            Request::FindNode(_)
            | Request::Get(_)
            | Request::GetPeers(_)
            | Request::Put(_)
            | Request::Sample(_) => {
                self.tell_found(id, &job, from, response, found);
                Outcome::Sampled
            }
        };
        let progress = job.progress();
        self.tell(Event::Done {
            job: id,
            outcome,
            progress,
        });
    }

    /// A node that was asked alone does not answer, or refuses with an error's code.
    pub(in crate::node) fn direct_failed(&mut self, id: JobId, refused: Option<i64>) {
        if let Some(mut job) = self.jobs.remove(&id) {
            job.direct.failed = usize::from(refused.is_none());
            job.direct.answered = usize::from(refused.is_some());
            let progress = job.progress();
            self.tell(Event::Done {
                job: id,
                outcome: refused.map_or(Outcome::Silence, Outcome::Refused),
                progress,
            });
        }
    }
}
