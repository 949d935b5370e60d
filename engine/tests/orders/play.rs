//! A session that is told this and that, until in the end it is told to have everything.

use std::path::PathBuf;
use std::time::Duration;

use engine::{AddTorrent, Categories, Event, Source, State};
use net::sim::Sim;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout};

use crate::common::reaches;
use crate::deeds::{Deed, Outcome, Wish};
use crate::oracle;
use crate::world::{LENS, PLACES, ROUTES, World};

/// Steps of a play; each is a few commands, a pause, and a look.
const STEPS: usize = 40;

/// Virtual time that anything may take.
const PATIENCE: Duration = Duration::from_secs(1200);

/// How long something may take that was handed over.
const CARRIED_OUT_WITHIN: Duration = Duration::from_secs(20);

struct Game {
    world: World,
    rng: StdRng,
    wishes: Vec<Option<Wish>>,
    /// By how many hops those went that were removed, and until when.
    went: Vec<Vec<(u8, Instant)>>,
    /// What was done, for whoever looks for the reason of a failure.
    loud: bool,
}

/// Plays the orders of a seed.
pub(crate) async fn play(seed: u64) -> Sim {
    let mut rng = StdRng::seed_from_u64(seed);
    let torrents = rng.random_range(1..=2);
    let rate = rng.random_range(30_000..400_000);
    let world = World::new(seed, torrents, rate).await;
    let mut game = Game {
        world,
        rng,
        wishes: (0..torrents).map(|_| None).collect(),
        went: vec![Vec::new(); torrents as usize],
        loud: std::env::var_os("TRIBLER_ORDERS_LOUD").is_some(),
    };
    for step in 0..STEPS {
        game.tell(|| format!("step {step}"));
        game.step().await;
    }
    game.finish().await;
    game.world.sim.clone()
}

impl Game {
    #[expect(clippy::print_stdout, reason = "for whoever asks for it")]
    fn tell(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{:?}: {}", self.world.sim.elapsed(), what());
        }
    }

    async fn step(&mut self) {
        let number = self.rng.random_range(0..self.wishes.len());
        match self.rng.random_range(0..20) {
            0 => {
                self.tell(|| "restart".to_owned());
                self.world.restart().await;
                self.begun();
            }
            1 => self.kill().await,
            _ if self.wishes[number].is_none() => self.add(number).await,
            2 => self.remove(number).await,
            3..6 => self.several(number).await,
            _ => self.one(number).await,
        }
        let pause = [0, 3, 50, 700, 3_000][self.rng.random_range(0..5)];
        let pause = if self.rng.random_range(0..25) == 0 {
            200_000
        } else {
            pause
        };
        sleep(Duration::from_millis(self.rng.random_range(0..=pause))).await;
        oracle::happened(&mut self.world);
        oracle::look(&self.world, &mut self.wishes);
        if self.rng.random_range(0..3) == 0 {
            self.ask(number).await;
        }
    }

    async fn ask(&mut self, number: usize) {
        if let Some(wish) = &mut self.wishes[number] {
            oracle::ask(&self.world, number, wish).await;
        }
    }

    fn dirs(&self, number: usize) -> Vec<PathBuf> {
        (0..PLACES)
            .map(|place| self.world.dir(number, place))
            .collect()
    }

    async fn add(&mut self, number: usize) {
        let content = &self.world.contents[number];
        let source = Source::Metainfo(content.folder.metainfo.clone());
        let place = self.rng.random_range(0..PLACES);
        let hops = self.rng.random_range(0..ROUTES);
        let mut add = AddTorrent::new(source, self.world.dir(number, place));
        add.hops = Some(hops);
        add.paused = self.rng.random_range(0..4) == 0;
        add.peers = vec![content.seeder];
        let paused = add.paused;
        self.tell(|| format!("add {number} at {place} by {hops} hops, paused {paused}"));
        let id = self.world.session.handle.add(add).await.expect("added");
        let mut wish = Wish::new(id, place, hops);
        wish.paused.set(paused);
        wish.went.clone_from(&self.went[number]);
        self.wishes[number] = Some(wish);
    }

    /// One command, of which is known what came.
    async fn one(&mut self, number: usize) {
        let Some(mut wish) = self.wishes[number].take() else {
            return;
        };
        let content = &self.world.contents[number];
        let deed = Deed::random(&mut self.rng, content);
        let before = (wish.files.clone(), wish.names.clone());
        wish.asked(&deed);
        let dirs = self.dirs(number);
        let said = deed.say(&self.world.session.handle, wish.id, content, &dirs);
        let outcome = timeout(PATIENCE, said).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("no answer to {deed:?}"));
        self.tell(|| format!("{number}: {deed:?}: {outcome:?}"));
        match outcome {
            Outcome::Done => wish.done(&deed),
            Outcome::Refused => (wish.files, wish.names) = before,
        }
        self.wishes[number] = Some(wish);
    }

    /// Several commands at the same time, whose answers nobody waits for to the end.
    async fn several(&mut self, number: usize) {
        let Some(mut wish) = self.wishes[number].take() else {
            return;
        };
        let content = &self.world.contents[number];
        let count = self.rng.random_range(1..=4);
        let deeds: Vec<Deed> = (0..count)
            .map(|_| Deed::random(&mut self.rng, content))
            .collect();
        self.tell(|| format!("{number}: at the same time {deeds:?}"));
        for deed in &deeds {
            wish.asked(deed);
        }
        let dirs = self.dirs(number);
        let handle = &self.world.session.handle;
        let all = deeds
            .iter()
            .map(|deed| deed.say(handle, wish.id, content, &dirs));
        let within = [0, 1, 10, 100, 1_000_000][self.rng.random_range(0..5)];
        let all = futures_util::future::join_all(all);
        // What was handed over is carried out all the same.
        let answered = timeout(Duration::from_millis(within), all).await;
        for deed in &deeds {
            wish.asked(deed);
        }
        if answered.is_err() {
            wish.under_way = Instant::now() + CARRIED_OUT_WITHIN;
        }
        self.wishes[number] = Some(wish);
        if self.rng.random_range(0..4) == 0 {
            self.kill().await;
        }
    }

    async fn kill(&mut self) {
        self.tell(|| "kill".to_owned());
        for wish in self.wishes.iter_mut().flatten() {
            wish.killed();
        }
        self.world.kill().await;
        self.begun();
    }

    /// Nothing is under way of what was said to the session before.
    fn begun(&mut self) {
        for wish in self.wishes.iter_mut().flatten() {
            (wish.told, wish.under_way) = (Instant::now(), Instant::now());
        }
    }

    async fn remove(&mut self, number: usize) {
        let Some(wish) = self.wishes[number].take() else {
            return;
        };
        let delete = self.rng.random();
        let went = wish.hops.may().iter().map(|hops| (*hops, Instant::now()));
        self.went[number] = wish.went.iter().copied().chain(went).collect();
        self.tell(|| format!("remove {number}, content {delete}"));
        let handle = &self.world.session.handle;
        let mut events = handle.events(Categories::USUAL, 1 << 12);
        handle.remove(wish.id, delete).await.expect("removed");
        let gone = async {
            let is = |event: &Event| matches!(event, Event::Removed { id, .. } if *id == wish.id);
            while !is(&events.recv().await.expect("the engine lives")) {}
        };
        let gone = timeout(PATIENCE, gone).await;
        assert!(gone.is_ok(), "{number} is not gone");
        for place in 0..PLACES {
            if delete {
                oracle::assert_only(&self.world, number, place, &wish, &[]);
            }
            // The next one begins anew.
            self.world.tidy(number, place);
        }
    }

    /// Everything is wanted, and comes.
    async fn finish(&mut self) {
        for number in 0..self.wishes.len() {
            if self.wishes[number].is_none() {
                self.add(number).await;
            }
            self.ask(number).await;
            let Some(mut wish) = self.wishes[number].take() else {
                continue;
            };
            let handle = &self.world.session.handle;
            let still = reaches(handle, wish.id, PATIENCE, |status| {
                status.moving.as_ref().is_none_or(|moving| moving.paused)
            });
            assert!(
                still.await,
                "{number} moves for ever: {:?}",
                handle.status(wish.id)
            );
            let content = &self.world.contents[number];
            let dirs = self.dirs(number);
            let usual = vec![4; LENS.len()];
            for deed in [
                Deed::PauseMove(false),
                Deed::MaxPeers(None),
                Deed::Limit(None),
                Deed::Files(usual),
                Deed::Resume,
                Deed::Peer,
            ] {
                wish.asked(&deed);
                let outcome = deed.say(handle, wish.id, content, &dirs).await;
                self.tell(|| format!("{number}: {deed:?}: {outcome:?}"));
                if outcome == Outcome::Done {
                    wish.done(&deed);
                }
            }
            let whole = reaches(handle, wish.id, PATIENCE, |status| {
                status.state == State::Seeding
                    && status.done == status.size
                    && status.moving.is_none()
            });
            assert!(
                whole.await,
                "{number} is not whole: {:?}",
                handle.status(wish.id)
            );
            self.wishes[number] = Some(wish);
        }
        // What is tidied up after the last move is gone.
        sleep(Duration::from_secs(30)).await;
        oracle::happened(&mut self.world);
        oracle::look(&self.world, &mut self.wishes);
        let records = self.world.session.keeper.summaries().expect("read");
        for number in 0..self.wishes.len() {
            self.ask(number).await;
            let Some(wish) = &mut self.wishes[number] else {
                continue;
            };
            let (_, record) = records
                .torrents
                .iter()
                .find(|(key, _)| key.0 == wish.id.number())
                .expect("kept");
            let place = (0..PLACES).find(|place| self.world.dir(number, *place) == record.dir);
            wish.place
                .see("the folder", place.expect("a folder of ours"), false);
            oracle::assert_whole(&self.world, number, wish);
        }
        self.world.end().await;
        for (number, wish) in self.wishes.iter().enumerate() {
            oracle::assert_whole(&self.world, number, wish.as_ref().expect("it is there"));
        }
    }
}
