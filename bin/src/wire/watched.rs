//! The doors by which a process in the overlay is watched.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use net::{OwnedPool, Pool};

use crate::control::{self, Control};
use crate::failure::{Failure, reason};
use crate::metrics::Metrics;
use crate::report::Reporter;
use crate::screen::Screen;

/// A control socket, and figures; both go with this value.
#[derive(Debug)]
pub(crate) struct Watched {
    metrics: Option<Metrics>,
    _control: Option<Control>,
}

impl Watched {
    /// Opens a control socket. Where that cannot be, it is told of and done without.
    pub(crate) fn by_socket(
        state: Option<&Path>,
        reporter: &Reporter,
        pool: &Pool,
        screen: &Screen,
    ) -> Self {
        let control = control::folder(state).and_then(|folder| {
            let open = Control::serve(&folder, reporter.clone(), pool);
            let tell = |error: &io::Error| {
                let line = format_args!(
                    "no control socket in {}, so `circuits` cannot ask this process: {}",
                    folder.display(),
                    reason(error)
                );
                screen.warn("warning", line);
            };
            open.inspect_err(tell).ok()
        });
        Self {
            metrics: None,
            _control: control,
        }
    }

    /// Opens a control socket, and serves figures.
    ///
    /// # Errors
    /// [`Failure::Failed`] where the port for figures cannot be had.
    pub(crate) async fn start(
        (state, metrics): (Option<&Path>, Option<SocketAddr>),
        reporter: &Reporter,
        pool: &OwnedPool,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let mut watched = Self::by_socket(state, reporter, pool.pool(), screen);
        if let Some(at) = metrics {
            let serving = Metrics::serve(at, reporter.clone(), pool.pool()).await;
            let serving = serving
                .map_err(|error| Failure::Failed(format!("--metrics {at}: {}", reason(&error))))?;
            watched.metrics = Some(serving);
        }
        Ok(watched)
    }

    /// Where figures are served.
    pub(crate) fn metrics(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.at)
    }
}
