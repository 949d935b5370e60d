//! The lifecycle of an endpoint's pump.

use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, StreamHandler};
use actors::{ExitGuard, Exited, RestartPolicy};
use net::{Pool, Task};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Command, Shared, pump};

/// Starts the pump, and again when it fails; ends when the last door is gone.
pub(super) struct EndpointActor {
    shared: Arc<Shared>,
    pool: Pool,
    commands: Option<mpsc::Receiver<Command>>,
    pump: Option<Task<()>>,
    restarts: RestartPolicy,
    asked: Vec<oneshot::Sender<()>>,
}

impl EndpointActor {
    pub(super) const fn new(
        shared: Arc<Shared>,
        pool: Pool,
        commands: mpsc::Receiver<Command>,
        restarts: RestartPolicy,
    ) -> Self {
        Self {
            shared,
            pool,
            commands: Some(commands),
            pump: None,
            restarts,
            asked: Vec::new(),
        }
    }

    fn start_pump(&mut self, ctx: &Context<Self>) {
        let exit = ExitGuard::new((), ctx.address().recipient());
        let run = pump::run(Arc::clone(&self.shared), exit);
        self.pump = Some(self.pool.spawn(run));
    }
}

impl Actor for EndpointActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut commands) = self.commands.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| {
                commands.poll_recv(cx)
            }));
        }
        self.start_pump(ctx);
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.pump = None;
        self.shared.close();
        for asked in self.asked.drain(..) {
            let _ = asked.send(());
        }
    }
}

impl StreamHandler<Command> for EndpointActor {
    fn handle(&mut self, command: Command, ctx: &mut Context<Self>) {
        let Command::Shutdown(reply) = command;
        self.asked.push(reply);
        ctx.stop();
    }
}

impl Handler<Exited<()>> for EndpointActor {
    type Result = ();

    fn handle(&mut self, exited: Exited<()>, ctx: &mut Context<Self>) {
        if exited.panicked && self.restarts.failed(Instant::now()) {
            tracing::error!("the pump of the overlay's socket failed; it starts again");
            self.start_pump(ctx);
        } else {
            ctx.stop();
        }
    }
}
