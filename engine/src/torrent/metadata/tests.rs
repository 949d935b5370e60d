use proptest::prelude::*;
use protocol::id::{InfoHash, InfoHashV2};

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Honest,
    /// Sends wrong bytes in the pieces that the mask names; all of them if it is 0.
    Forger(u8),
    /// Offers this size, and sends as much.
    Inventor(u32),
    /// Answers nothing.
    Silent,
    /// Refuses everything.
    Refuser,
    /// Sends a piece of the wrong length.
    Bungler,
    /// Names another size than it offered.
    Doubter,
}

struct Lab {
    info: Vec<u8>,
    fetch: MetadataFetch,
    peers: BTreeMap<PeerKey, Nature>,
    now: Instant,
    start: Instant,
    blamed: Vec<PeerKey>,
    done: Option<Vec<u8>>,
}

fn sample(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn hashes(info: &[u8]) -> InfoHashes {
    // The digests, as the peers' side of the tests would know them.
    let v1 = sha1(info);
    InfoHashes::v1(InfoHash(v1))
}

/// The digest of bytes, found by asking `describe`'s own building block.
fn sha1(info: &[u8]) -> [u8; 20] {
    let mut hasher = sha1_smol::Sha1::new();
    hasher.update(info);
    hasher.digest().bytes()
}

impl Lab {
    fn new(len: usize, natures: &[Nature]) -> Self {
        let info = sample(len);
        let now = Instant::now();
        let mut lab = Self {
            fetch: MetadataFetch::new(hashes(&info)),
            info,
            peers: BTreeMap::new(),
            now,
            start: now,
            blamed: Vec::new(),
            done: None,
        };
        for (key, nature) in (1..).zip(natures) {
            lab.join(PeerKey(key), *nature);
        }
        lab
    }

    fn join(&mut self, key: PeerKey, nature: Nature) {
        let size = match nature {
            Nature::Inventor(size) => size,
            Nature::Honest
            | Nature::Forger(_)
            | Nature::Silent
            | Nature::Refuser
            | Nature::Bungler
            | Nature::Doubter => self.info.len() as u32,
        };
        self.peers.insert(key, nature);
        self.fetch.peer_offers(key, size, self.now);
    }

    fn blame(&mut self, key: PeerKey) {
        assert_ne!(
            self.peers.get(&key),
            Some(&Nature::Honest),
            "{key} is honest"
        );
        self.blamed.push(key);
        self.peers.remove(&key);
        self.fetch.peer_gone(key);
    }

    fn take(&mut self, progress: Progress) {
        match progress {
            Progress::More => {}
            Progress::Complete(info) => self.done = Some(info),
            Progress::Mismatch { blame } => blame.into_iter().for_each(|key| self.blame(key)),
            Progress::PeerLied(key) => self.blame(key),
        }
    }

    fn answer(&mut self, key: PeerKey, piece: u32) {
        let Some(nature) = self.peers.get(&key).copied() else {
            return;
        };
        let size = self.info.len() as u32;
        let begin = (piece * 16_384) as usize;
        let own = |size: u32| metadata_piece_len(size, piece) as usize;
        let right = self.info.get(begin..begin + own(size)).unwrap_or(&[]);
        let progress = match nature {
            Nature::Honest => self.fetch.data(key, piece, size, right, self.now),
            Nature::Forger(mask) => {
                let mut bytes = right.to_vec();
                if mask == 0 || mask >> (piece % 8) & 1 == 1 {
                    bytes[0] ^= 1;
                }
                self.fetch.data(key, piece, size, &bytes, self.now)
            }
            Nature::Inventor(size) => {
                let bytes = vec![7; own(size)];
                self.fetch.data(key, piece, size, &bytes, self.now)
            }
            Nature::Silent => return,
            Nature::Refuser => {
                self.fetch.reject(key, piece, self.now);
                return;
            }
            Nature::Bungler => self.fetch.data(key, piece, size, &right[1..], self.now),
            Nature::Doubter => self.fetch.data(key, piece, size + 1, right, self.now),
        };
        self.take(progress);
    }

    /// Asks everyone, each answering a tenth of a second later, until it is done or time is over.
    fn run(&mut self, limit: Duration) -> bool {
        while self.done.is_none() && self.now - self.start < limit {
            let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
            let mut asked = Vec::new();
            for key in keys {
                for piece in self.fetch.next_requests(self.now, key) {
                    asked.push((key, piece));
                }
            }
            if asked.is_empty() {
                let Some((at, _)) = self.fetch.poll_timeout() else {
                    return false;
                };
                assert!(at > self.now, "a timeout in the past makes the caller spin");
                self.now = at;
                self.fetch.handle_timeout(self.now);
                continue;
            }
            self.now += Duration::from_millis(100);
            for (key, piece) in asked {
                if self.done.is_none() {
                    self.answer(key, piece);
                }
            }
        }
        self.done.as_ref().is_some_and(|info| *info == self.info)
    }

    fn seconds(&self) -> u64 {
        (self.now - self.start).as_secs()
    }
}

const MIN: Duration = Duration::from_mins(1);

#[test]
fn pieces_come_from_several_peers_at_once() {
    let mut lab = Lab::new(12 * 16_384 + 5, &[Nature::Honest; 4]);
    let asked: Vec<u32> = (1..=4)
        .flat_map(|key| lab.fetch.next_requests(lab.now, PeerKey(key)))
        .collect();
    assert_eq!(asked, (0..12).collect::<Vec<u32>>());
    for piece in asked {
        lab.answer(PeerKey(1 + piece / 3), piece);
    }
    // One piece is left: two peers are asked for it, no third.
    let last: Vec<usize> = (1..=4)
        .map(|key| lab.fetch.next_requests(lab.now, PeerKey(key)).len())
        .collect();
    assert_eq!(last, [1, 1, 0, 0]);
    assert_eq!(lab.fetch.progress(), Some((12 * 16_384, 12 * 16_384 + 5)));
    lab.answer(PeerKey(2), 12);
    assert_eq!(lab.done, Some(lab.info));
}

#[test]
fn sizes_that_cannot_be_are_not_heeded() {
    let mut lab = Lab::new(10, &[]);
    for size in [0, MAX_METADATA_SIZE + 1, u32::MAX] {
        lab.fetch.peer_offers(PeerKey(1), size, lab.now);
    }
    assert_eq!(lab.fetch.next_requests(lab.now, PeerKey(1)).len(), 0);
    assert_eq!(lab.fetch.poll_timeout(), None);
}

#[test]
fn a_lone_forger_is_found_at_once() {
    let mut lab = Lab::new(40_000, &[Nature::Forger(0)]);
    assert!(!lab.run(MIN));
    assert_eq!(lab.blamed, [PeerKey(1)]);
}

#[test]
fn a_forger_among_honest_peers_is_survived_and_named() {
    let natures = [Nature::Honest, Nature::Forger(0), Nature::Honest];
    let mut lab = Lab::new(20 * 16_384, &natures);
    assert!(lab.run(MIN));
    assert!(lab.seconds() < 5, "{} s", lab.seconds());
    assert_eq!(lab.blamed, []);
    assert_eq!(lab.fetch.culprits(), [PeerKey(2)]);
}

#[test]
fn a_forger_that_is_tried_alone_is_blamed() {
    let natures = [Nature::Forger(0), Nature::Honest, Nature::Honest];
    let mut lab = Lab::new(20 * 16_384, &natures);
    assert!(lab.run(MIN));
    assert_eq!(lab.blamed, [PeerKey(1)]);
}

#[test]
fn an_invented_size_of_a_minority_is_never_tried() {
    let natures = [
        Nature::Inventor(MAX_METADATA_SIZE),
        Nature::Honest,
        Nature::Honest,
    ];
    let mut lab = Lab::new(50_000, &natures);
    assert!(lab.run(MIN));
    assert_eq!(lab.seconds(), 0);
}

#[test]
fn an_invented_size_of_a_majority_is_given_up() {
    let natures = [
        Nature::Inventor(100),
        Nature::Honest,
        Nature::Inventor(100),
        Nature::Inventor(100),
    ];
    let mut lab = Lab::new(50_000, &natures);
    assert!(lab.run(MIN));
    assert!(lab.seconds() < 5, "{} s", lab.seconds());
}

#[test]
fn a_majority_that_never_answers_is_given_up() {
    let mut lab = Lab::new(50_000, &[Nature::Honest]);
    for key in 10..40 {
        lab.peers.insert(PeerKey(key), Nature::Silent);
        lab.fetch
            .peer_offers(PeerKey(key), MAX_METADATA_SIZE, lab.now);
    }
    assert!(lab.run(2 * MIN));
    assert!(lab.seconds() <= 31, "{} s", lab.seconds());
}

#[test]
fn metadata_that_never_ends_gives_way_to_other_sizes() {
    let mut lab = Lab::new(50_000, &[]);
    lab.join(PeerKey(1), Nature::Inventor(MAX_METADATA_SIZE));
    lab.join(PeerKey(2), Nature::Inventor(MAX_METADATA_SIZE));
    lab.join(PeerKey(3), Nature::Honest);
    // The inventors bring a piece every nine seconds, just enough not to be silent.
    while lab.done.is_none() {
        assert!(lab.seconds() < 120);
        for key in [1, 2, 3] {
            let key = PeerKey(key);
            for piece in lab.fetch.next_requests(lab.now, key) {
                if key == PeerKey(3) || piece % 3 == 0 {
                    lab.answer(key, piece);
                }
            }
        }
        lab.now += Duration::from_secs(9);
    }
    assert_eq!(lab.done, Some(lab.info));
}

#[test]
fn peers_that_contradict_themselves_are_named() {
    for nature in [Nature::Bungler, Nature::Doubter] {
        let mut lab = Lab::new(50_000, &[nature, Nature::Honest]);
        assert!(lab.run(MIN));
        assert_eq!(lab.blamed, [PeerKey(1)]);
    }
}

#[test]
fn a_peer_that_goes_leaves_its_pieces_to_others() {
    let mut lab = Lab::new(4 * 16_384, &[Nature::Silent, Nature::Honest]);
    assert_eq!(lab.fetch.next_requests(lab.now, PeerKey(1)).len(), 3);
    lab.peers.remove(&PeerKey(1));
    lab.fetch.peer_gone(PeerKey(1));
    assert!(lab.run(MIN));
    assert_eq!(lab.seconds(), 0);
}

#[test]
fn a_peer_that_refuses_is_asked_again_later() {
    let mut lab = Lab::new(100, &[Nature::Refuser]);
    assert_eq!(lab.fetch.next_requests(lab.now, PeerKey(1)).len(), 1);
    lab.answer(PeerKey(1), 0);
    assert_eq!(lab.fetch.next_requests(lab.now, PeerKey(1)).len(), 0);
    lab.peers.insert(PeerKey(1), Nature::Honest);
    assert!(lab.run(MIN));
    assert_eq!(lab.seconds(), 30);
}

#[test]
fn data_out_of_turn_changes_nothing() {
    let mut lab = Lab::new(100, &[Nature::Honest]);
    let info = lab.info.clone();
    let now = lab.now;
    assert_eq!(
        lab.fetch.data(PeerKey(9), 0, 100, &info, now),
        Progress::More,
        "from a stranger"
    );
    assert_eq!(
        lab.fetch.data(PeerKey(1), 1, 100, &[], now),
        Progress::PeerLied(PeerKey(1)),
        "past the end"
    );
}

#[test]
fn a_hybrid_must_have_both_hashes() {
    let info = sample(100);
    let hybrid = InfoHashes::hybrid(InfoHash(sha1(&info)), InfoHashV2([1; 32]));
    let mut fetch = MetadataFetch::new(hybrid);
    let now = Instant::now();
    fetch.peer_offers(PeerKey(1), 100, now);
    assert_eq!(fetch.next_requests(now, PeerKey(1))[..], [0]);
    assert_eq!(
        fetch.data(PeerKey(1), 0, 100, &info, now),
        Progress::Mismatch {
            blame: vec![PeerKey(1)]
        }
    );
}

fn nature() -> impl Strategy<Value = Nature> {
    prop_oneof![
        3 => Just(Nature::Honest),
        2 => any::<u8>().prop_map(Nature::Forger),
        2 => (1..200_000_u32).prop_map(Nature::Inventor),
        1 => Just(Nature::Silent),
        1 => Just(Nature::Refuser),
        1 => Just(Nature::Bungler),
        1 => Just(Nature::Doubter),
    ]
}

proptest! {
    #[test]
    fn one_honest_peer_is_enough_and_is_never_blamed(
        len in 1..150_000_usize,
        natures in prop::collection::vec(nature(), 0..12),
        at in 0..12_usize,
    ) {
        let mut natures = natures;
        natures.insert(at.min(natures.len()), Nature::Honest);
        let mut lab = Lab::new(len, &natures);
        prop_assert!(lab.run(2 * MIN), "after {} s", lab.seconds());
    }
}
