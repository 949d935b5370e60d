use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::access::{Listing, Mode, Refusal};
use crate::swarms::{Announced, Event, Picked, Report, Seconds};

const KEY: &str = "YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ";

/// A table in memory that is away at times, and does not always tell what it did before it went.
#[derive(Clone, Default)]
struct Shaky(Arc<Shared>);

#[derive(Default)]
struct Shared {
    away: AtomicBool,
    rows: Mutex<BTreeMap<InfoHash, u32>>,
    last: Mutex<u64>,
    rng: Mutex<Option<SmallRng>>,
}

impl Database for Shaky {
    fn is_shared(&self) -> bool {
        true
    }

    fn lists(&mut self) -> Result<Lists, DatabaseError> {
        self.answers().map(|()| Lists::default())
    }

    fn completed(&mut self, each: &mut dyn FnMut(InfoHash, u32)) -> Result<(), DatabaseError> {
        self.answers()?;
        for (hash, completed) in self.0.rows.lock().iter() {
            each(*hash, *completed);
        }
        Ok(())
    }

    fn add_completed(
        &mut self,
        batch: u64,
        completions: &[(InfoHash, u32)],
        each: &mut dyn FnMut(InfoHash, u32),
    ) -> Result<(), DatabaseError> {
        self.answers()?;
        let mut last = self.0.last.lock();
        if batch <= *last {
            return Ok(());
        }
        let mut rows = self.0.rows.lock();
        for (hash, completed) in completions {
            let row = rows.entry(*hash).or_default();
            *row += completed;
            each(*hash, *row);
        }
        *last = batch;
        // It is written, and nobody hears of it.
        self.answers()
    }

    fn change(&mut self, _: &Change) -> Result<bool, DatabaseError> {
        self.answers().map(|()| true)
    }
}

impl Shaky {
    fn answers(&self) -> Result<(), DatabaseError> {
        let mut rng = self.0.rng.lock();
        let fails = rng.as_mut().is_some_and(|rng| rng.random_ratio(1, 3));
        if fails || self.0.away.load(Ordering::SeqCst) {
            return Err(DatabaseError::Away);
        }
        Ok(())
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.database.write_seconds = 1;
    settings
}

fn core(settings: &Settings) -> Arc<Core> {
    Arc::new(Core::new(
        settings.swarm_options(),
        settings.mode(),
        settings.policy(),
        None,
    ))
}

/// Has a peer of its own complete a torrent.
fn complete(core: &Core, torrent: u8, peer: u16) {
    for event in [Event::Started, Event::Completed] {
        let announced = Announced {
            info_hash: InfoHash([torrent; 20]),
            peer_id: protocol::id::PeerId([1; 20]),
            addr: ([127, 0, 0, 1], peer).into(),
            seeder: event == Event::Completed,
            stopped: false,
            report: Report {
                event,
                ..Report::default()
            },
            want: 0,
            mixed: false,
        };
        let mut rng = SmallRng::seed_from_u64(1);
        let mut picked = Picked::default();
        core.swarms
            .announce(&announced, Seconds::new(1), &mut rng, &mut picked);
    }
}

#[tokio::test]
async fn each_completion_is_written_once_however_often_the_database_fails() {
    let settings = settings();
    let core = core(&settings);
    let seed = rand::random();
    println!("seed {seed}");
    let shaky = Shaky::default();
    let store = Store::with(Box::new(shaky.clone()), &settings, &core).unwrap();
    *shaky.0.rng.lock() = Some(SmallRng::seed_from_u64(seed));
    let mut expected = BTreeMap::<_, u32>::new();
    for round in 1..=200_u16 {
        for torrent in 0..(round % 5) as u8 {
            complete(&core, torrent, round);
            *expected.entry(InfoHash([torrent; 20])).or_default() += 1;
        }
        let _ = store.orders().write().await;
    }
    *shaky.0.rng.lock() = None;
    store.orders().write().await.unwrap();
    assert_eq!(*shaky.0.rows.lock(), expected);
    for (hash, completed) in expected {
        assert_eq!(core.swarms.scrape(&hash).downloaded, completed);
    }
    let counts = store.state().counts();
    assert!(
        counts.failures > 20 && counts.error.is_none() && counts.waiting == 0,
        "{counts:?}"
    );
}

#[tokio::test]
async fn while_the_database_is_away_completions_wait_and_changes_are_refused() {
    let settings = settings();
    let core = core(&settings);
    let shaky = Shaky::default();
    shaky.0.rows.lock().insert(InfoHash([1; 20]), 7);
    shaky.0.away.store(true, Ordering::SeqCst);
    let store = Store::with(Box::new(shaky.clone()), &settings, &core).unwrap();
    complete(&core, 1, 1);
    let orders = store.orders();
    let key = KEY.parse().unwrap();
    assert!(matches!(
        orders.add_key(key, None).await,
        Err(StoreError::Database(_))
    ));
    assert!(matches!(orders.write().await, Err(StoreError::Database(_))));
    let counts = store.state().counts();
    assert_eq!(counts.error.as_deref(), Some("the database is away"));
    assert_eq!(
        (counts.is_loaded, counts.waiting, core.access.keys()),
        (false, 1, 0)
    );
    assert_eq!(core.swarms.scrape(&InfoHash([1; 20])).downloaded, 1);

    shaky.0.away.store(false, Ordering::SeqCst);
    // It is asked again by itself.
    while store.state().counts().error.is_some() || !store.state().counts().is_loaded {
        tokio::task::yield_now().await;
    }
    store.orders().write().await.unwrap();
    assert_eq!(core.swarms.scrape(&InfoHash([1; 20])).downloaded, 8);
    assert!(orders.add_key(key, None).await.unwrap());
    assert_eq!(core.access.keys(), 1);
}

#[tokio::test]
async fn a_database_that_is_back_is_noticed_though_there_is_nothing_to_write() {
    let mut settings = settings();
    settings.database.reload_seconds = 0;
    let core = core(&settings);
    let shaky = Shaky::default();
    let store = Store::with(Box::new(shaky.clone()), &settings, &core).unwrap();
    shaky.0.away.store(true, Ordering::SeqCst);
    assert!(store.orders().list(InfoHash([1; 20])).await.is_err());
    assert!(store.state().counts().error.is_some());
    shaky.0.away.store(false, Ordering::SeqCst);
    let back = async {
        while store.state().counts().error.is_some() {
            tokio::task::yield_now().await;
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(60), back).await;
    assert!(back.is_ok(), "{:?}", store.state().counts());
}

/// Counts completions that come while others are written, as those of many clients do.
struct Busy {
    core: Arc<Core>,
    batches: Arc<Mutex<u16>>,
}

impl Database for Busy {
    fn is_shared(&self) -> bool {
        false
    }

    fn lists(&mut self) -> Result<Lists, DatabaseError> {
        Ok(Lists::default())
    }

    fn completed(&mut self, _: &mut dyn FnMut(InfoHash, u32)) -> Result<(), DatabaseError> {
        Ok(())
    }

    fn add_completed(
        &mut self,
        _: u64,
        _: &[(InfoHash, u32)],
        _: &mut dyn FnMut(InfoHash, u32),
    ) -> Result<(), DatabaseError> {
        let mut batches = self.batches.lock();
        *batches += 1;
        if *batches < 1000 {
            complete(&self.core, 1, *batches + 1);
        }
        Ok(())
    }

    fn change(&mut self, _: &Change) -> Result<bool, DatabaseError> {
        Ok(true)
    }
}

#[tokio::test]
async fn completions_that_come_while_others_are_written_wait_for_the_next_time() {
    let mut settings = settings();
    settings.database.write_seconds = 3600;
    let core = core(&settings);
    let batches = Arc::<Mutex<u16>>::default();
    let busy = Busy {
        core: Arc::clone(&core),
        batches: Arc::clone(&batches),
    };
    let store = Store::with(Box::new(busy), &settings, &core).unwrap();
    complete(&core, 1, 1);
    for times in 1..=3 {
        store.orders().write().await.unwrap();
        assert_eq!(*batches.lock(), times);
    }
}

#[tokio::test]
async fn what_was_refused_for_want_of_an_answer_is_not_done_later() {
    let settings = settings();
    let core = core(&settings);
    let shaky = Shaky::default();
    let store = Store::with(Box::new(shaky.clone()), &settings, &core).unwrap();
    let orders = store.orders();
    let hold = shaky.0.rng.lock();
    // This one has the database, which does not answer.
    let mut first = std::pin::pin!(orders.list(InfoHash([1; 20])));
    assert!(first.as_mut().now_or_never().is_none());
    for torrent in 2..=255 {
        assert!(
            orders
                .list(InfoHash([torrent; 20]))
                .now_or_never()
                .is_none()
        );
    }
    for _ in 0..3 {
        let _ = orders.reload().now_or_never();
    }
    assert!(matches!(store.set_pace(&settings), Err(StoreError::Busy)));
    drop(hold);
    first.await.unwrap();
    // The others stand in line until the writer has passed over them.
    let written = async {
        while let Err(error) = store.orders().write().await {
            assert!(matches!(error, StoreError::Busy), "{error}");
            tokio::task::yield_now().await;
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(60), written).await;
    assert!(written.is_ok(), "the line never ends");
    assert_eq!(core.access.listed(), 1);
    store.set_pace(&settings).unwrap();
}

#[tokio::test]
async fn completions_are_written_whatever_has_become_of_the_file_with_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    std::fs::write(&path, "").unwrap();
    let mut settings = settings();
    settings.access.list_file = Some(path.clone());
    let core = core(&settings);
    let shaky = Shaky::default();
    shaky.0.away.store(true, Ordering::SeqCst);
    let store = Store::with(Box::new(shaky.clone()), &settings, &core).unwrap();
    std::fs::write(&path, "no hash").unwrap();
    complete(&core, 1, 1);
    shaky.0.away.store(false, Ordering::SeqCst);
    let written = async {
        while store.state().counts().written == 0 {
            tokio::task::yield_now().await;
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(60), written).await;
    assert!(written.is_ok(), "{:?}", store.state().counts());
    assert!(!store.state().counts().is_loaded);
    std::fs::write(&path, "").unwrap();
    store.orders().reload().await.unwrap();
    let loaded = async {
        while !store.state().counts().is_loaded {
            tokio::task::yield_now().await;
        }
    };
    let loaded = tokio::time::timeout(Duration::from_secs(60), loaded).await;
    assert!(loaded.is_ok(), "{:?}", store.state().counts());
}

#[tokio::test]
async fn a_file_has_it_all_back_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.database.path = "below/tracker.db".into();
    settings.access.listing = Listing::Allow;
    settings.access.private = true;
    let (listed, gone) = (InfoHash([1; 20]), InfoHash([2; 20]));
    let key = KEY.parse().unwrap();
    let other = "a".repeat(32).parse().unwrap();
    {
        let core = core(&settings);
        let store = Store::open(&settings, folder.path(), &core).unwrap();
        let orders = store.orders();
        assert!(orders.list(listed).await.unwrap() && !orders.list(listed).await.unwrap());
        assert!(orders.list(gone).await.unwrap() && orders.unlist(gone).await.unwrap());
        assert!(!orders.unlist(gone).await.unwrap());
        assert!(orders.add_key(key, Some(60)).await.unwrap());
        assert!(!orders.add_key(key, Some(70)).await.unwrap());
        assert!(orders.add_key(other, None).await.unwrap());
        assert!(orders.remove_key(other).await.unwrap());
        assert!(!orders.remove_key(other).await.unwrap());
        assert_eq!(core.access.check(&listed, Some(KEY), 70), Ok(()));
        complete(&core, 1, 1);
        complete(&core, 1, 2);
        complete(&core, 3, 1);
        // What was not written yet is at the end.
    }
    let core = core(&settings);
    let store = Store::open(&settings, folder.path(), &core).unwrap();
    assert_eq!((core.access.listed(), core.access.keys()), (1, 1));
    assert_eq!(core.access.check(&listed, Some(KEY), 70), Ok(()));
    assert_eq!(
        core.access.check(&listed, Some(KEY), 71),
        Err(Refusal::ExpiredKey)
    );
    assert_eq!(core.swarms.scrape(&listed).downloaded, 2);
    complete(&core, 1, 3);
    store.orders().write().await.unwrap();
    assert_eq!(core.swarms.scrape(&listed).downloaded, 3);
    let counts = store.state().counts();
    assert_eq!((counts.written, counts.is_loaded), (1, true));
}

#[tokio::test]
async fn a_list_in_a_file_stands_beside_that_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    let digits = |digit: u8| format!("{digit:02x}").repeat(20);
    std::fs::write(&path, format!("# ours\n{}  # one\n\n", digits(1))).unwrap();
    let mut settings = Settings::in_memory();
    settings.access.list_file = Some(path.clone());
    settings.access.listing = Listing::Allow;
    let core = core(&settings);
    let store = Store::open(&settings, folder.path(), &core).unwrap();
    let orders = store.orders();
    orders.list(InfoHash([2; 20])).await.unwrap();
    let listed = |digit| core.access.check_torrent(&InfoHash([digit; 20])).is_ok();
    assert!(listed(1) && listed(2) && !listed(3));
    std::fs::write(&path, digits(3).to_uppercase()).unwrap();
    orders.reload().await.unwrap();
    assert!(!listed(1) && listed(2) && listed(3));
    std::fs::write(&path, format!("{}\nno hash", digits(1))).unwrap();
    let error = orders.reload().await.unwrap_err();
    assert!(
        error.to_string().ends_with("line 2 is no info-hash"),
        "{error}"
    );
    assert!(!listed(1) && listed(2) && listed(3), "the old one holds");
    drop(store);
    assert!(matches!(
        Store::open(&settings, folder.path(), &core),
        Err(OpenError::ListFile(_))
    ));
}

#[tokio::test]
async fn a_file_is_of_one_tracker_at_a_time_and_nobody_else_reads_its_keys() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let settings = settings();
    let core = core(&settings);
    let store = Store::open(&settings, folder.path(), &core).unwrap();
    let error = Store::open(&settings, folder.path(), &core).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("tracker.db: another tracker"), "{text}");
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file:?}");
    }
    drop(store);
    Store::open(&settings, folder.path(), &core).unwrap();
}

#[test]
fn what_is_no_database_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tracker.db");
    std::fs::write(
        &path,
        "no database at all, and long enough to have a head of one".repeat(20),
    )
    .unwrap();
    let settings = settings();
    let core = core(&settings);
    let error = Store::open(&settings, folder.path(), &core).unwrap_err();
    let named = format!("the database: {}: ", path.display());
    let text = error.to_string();
    assert!(
        text.starts_with(&named) && text.ends_with("not a database"),
        "{text}"
    );

    std::fs::remove_file(&path).unwrap();
    drop(Sqlite::open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("INSERT INTO whitelist (info_hash) VALUES ('xyz')", [])
        .unwrap();
    drop(db);
    let error = Store::open(&settings, folder.path(), &core).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("whitelist has what cannot be read: xyz"),
        "{error}"
    );
    let mut settings = settings;
    settings.database.kind = DatabaseKind::PostgreSql;
    settings.database.url = crate::settings::Secret("port=none".to_owned());
    assert!(Store::open(&settings, folder.path(), &core).is_err());
}

#[test]
fn a_file_of_torrust_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tracker.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(&format!(
        "CREATE TABLE whitelist (id INTEGER PRIMARY KEY AUTOINCREMENT, info_hash TEXT NOT NULL UNIQUE);
         CREATE TABLE torrents (id INTEGER PRIMARY KEY AUTOINCREMENT, info_hash TEXT NOT NULL UNIQUE, completed INTEGER DEFAULT 0 NOT NULL);
         CREATE TABLE keys (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, valid_until INTEGER);
         INSERT INTO torrents (info_hash, completed) VALUES ('{0}', 5);
         INSERT INTO keys (key, valid_until) VALUES ('{KEY}', NULL);",
        "01".repeat(20)
    ))
    .unwrap();
    drop(db);
    let settings = settings();
    let core = core(&settings);
    let _store = Store::open(&settings, folder.path(), &core).unwrap();
    assert_eq!(core.swarms.scrape(&InfoHash([1; 20])).downloaded, 5);
    assert_eq!(core.access.keys(), 1);
    assert_eq!(
        core.access.mode(),
        Mode {
            keys_expire: true,
            ..Mode::default()
        }
    );
}
