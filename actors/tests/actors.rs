//! The idioms on real actors, in virtual time.

use std::time::Duration;

use actix::{Actor, ActorContext, Addr, Context, Handler, Message};
use actors::{ExitGuard, Exited, OneTimer, tell};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::Instant;

struct Parent(mpsc::Sender<Exited<u32>>);

impl Actor for Parent {
    type Context = Context<Self>;
}

impl Handler<Exited<u32>> for Parent {
    type Result = ();

    fn handle(&mut self, exited: Exited<u32>, _: &mut Context<Self>) {
        self.0.try_send(exited).expect("room");
    }
}

struct Child {
    _guard: ExitGuard<u32>,
    timer: OneTimer,
    fired: mpsc::Sender<Instant>,
}

#[derive(Message)]
#[rtype(result = "()")]
enum Do {
    Arm(Duration),
    Panic,
    Stop,
}

impl Actor for Child {
    type Context = Context<Self>;
}

impl Handler<Do> for Child {
    type Result = ();

    fn handle(&mut self, what: Do, ctx: &mut Context<Self>) {
        match what {
            Do::Arm(wait) => self
                .timer
                .arm::<Self>(ctx, Instant::now() + wait, |child, _| {
                    child.timer.fired();
                    child.fired.try_send(Instant::now()).expect("room");
                }),
            Do::Panic => panic!("asked to"),
            Do::Stop => ctx.stop(),
        }
    }
}

fn child(id: u32, parent: &Addr<Parent>, fired: mpsc::Sender<Instant>) -> Addr<Child> {
    Child {
        _guard: ExitGuard::new(id, parent.clone().recipient()),
        timer: OneTimer::new(),
        fired,
    }
    .start()
}

#[tokio::test(start_paused = true)]
async fn a_parent_hears_of_a_stop_and_of_a_panic() {
    LocalSet::new()
        .run_until(async {
            let (tx, mut exits) = mpsc::channel(4);
            let (fired, _fires) = mpsc::channel(4);
            let parent = Parent(tx).start();
            let (good, bad) = (child(1, &parent, fired.clone()), child(2, &parent, fired));
            assert!(tell(&good, Do::Stop));
            assert_eq!(
                exits.recv().await,
                Some(Exited {
                    id: 1,
                    panicked: false
                })
            );
            assert!(tell(&bad, Do::Panic));
            assert_eq!(
                exits.recv().await,
                Some(Exited {
                    id: 2,
                    panicked: true
                })
            );
            let before = actors::undelivered();
            assert!(!tell(&bad, Do::Stop));
            assert_eq!(actors::undelivered(), before + 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_is_moved_earlier_but_never_later() {
    LocalSet::new()
        .run_until(async {
            let (tx, _exits) = mpsc::channel(4);
            let (fired, mut fires) = mpsc::channel(4);
            let parent = Parent(tx).start();
            let child = child(1, &parent, fired);
            let start = Instant::now();
            for seconds in [30, 10, 20] {
                tell(&child, Do::Arm(Duration::from_secs(seconds)));
            }
            let at = fires.recv().await.unwrap();
            assert_eq!(at.duration_since(start).as_secs(), 10);
            tokio::time::sleep(Duration::from_secs(100)).await;
            assert!(fires.try_recv().is_err());
        })
        .await;
}
