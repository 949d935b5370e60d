//! Replies of exits, which come in parts.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::CircuitId;

/// The most parts of a reply, of 1400 bytes each.
const MAX_PARTS: u16 = 512;

/// Replies that are waited for at once.
const MAX_WAITING: usize = 64;

/// Replies that are waited for.
#[derive(Default)]
pub(in super::super) struct Replies {
    waiting: Mutex<BTreeMap<u32, Waiting>>,
}

struct Waiting {
    circuit: CircuitId,
    parts: BTreeMap<u16, Vec<u8>>,
    reply: oneshot::Sender<Vec<u8>>,
}

impl Replies {
    /// Waits for a reply through a circuit; says under which number.
    pub(super) fn expect(&self, circuit: CircuitId) -> Option<(u32, oneshot::Receiver<Vec<u8>>)> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, waiting| !waiting.reply.is_closed());
        if waiting.len() >= MAX_WAITING {
            return None;
        }
        let mut number = rand::random();
        while waiting.contains_key(&number) {
            number = rand::random();
        }
        let (reply, taken) = oneshot::channel();
        let parts = BTreeMap::new();
        let expected = Waiting {
            circuit,
            parts,
            reply,
        };
        waiting.insert(number, expected);
        Some((number, taken))
    }

    /// A circuit is gone, or with `None` all are: what was asked through it gets no reply.
    pub(in super::super) fn closed(&self, circuit: Option<CircuitId>) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, waiting| circuit.is_some_and(|gone| gone != waiting.circuit));
    }

    /// A part of a reply has come.
    pub(in super::super) fn part(
        &self,
        (circuit, number): (CircuitId, u32),
        (part, parts): (u16, u16),
        bytes: Vec<u8>,
    ) {
        let mut waiting = self.waiting.lock();
        let Some(reply) = waiting.get_mut(&number) else {
            return;
        };
        if reply.circuit != circuit || part >= parts || parts > MAX_PARTS {
            return;
        }
        reply.parts.entry(part).or_insert(bytes);
        if reply.parts.len() == usize::from(parts)
            && let Some(whole) = waiting.remove(&number)
        {
            let bytes: Vec<u8> = whole.parts.into_values().flatten().collect();
            let _ = whole.reply.send(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    #[test]
    fn a_reply_is_whole_when_all_its_parts_have_come_by_its_circuit() {
        let replies = Replies::default();
        let (ours, other) = (CircuitId(1), CircuitId(2));
        let (number, mut reply) = replies.expect(ours).unwrap();
        replies.part((other, number), (0, 1), b"forged".to_vec());
        replies.part((ours, number), (2, 2), b"beyond".to_vec());
        replies.part((ours, number), (0, MAX_PARTS + 1), b"too many".to_vec());
        replies.part((ours, number), (1, 2), b"world".to_vec());
        replies.part((ours, number), (1, 2), b"again".to_vec());
        assert!(reply.try_recv().is_err());
        replies.part((ours, number), (0, 2), b"hello ".to_vec());
        assert_eq!(reply.try_recv().unwrap(), b"hello world");
        replies.part((ours, number), (0, 1), b"late".to_vec());
    }

    #[test]
    fn only_so_many_replies_are_waited_for_and_those_given_up_not_at_all() {
        let replies = Replies::default();
        let waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| replies.expect(CircuitId(1)).unwrap())
            .collect();
        assert!(replies.expect(CircuitId(1)).is_none());
        drop(waiting);
        assert!(replies.expect(CircuitId(1)).is_some());
    }

    #[test]
    fn what_was_asked_through_a_circuit_that_ends_gets_no_reply() {
        let replies = Replies::default();
        let (_, mut lost) = replies.expect(CircuitId(1)).unwrap();
        let (number, mut kept) = replies.expect(CircuitId(2)).unwrap();
        replies.closed(Some(CircuitId(1)));
        assert!(matches!(lost.try_recv(), Err(TryRecvError::Closed)));
        replies.part((CircuitId(2), number), (0, 1), b"reply".to_vec());
        assert_eq!(kept.try_recv().unwrap(), b"reply");
        let (_, mut lost) = replies.expect(CircuitId(2)).unwrap();
        replies.closed(None);
        assert!(matches!(lost.try_recv(), Err(TryRecvError::Closed)));
    }
}
