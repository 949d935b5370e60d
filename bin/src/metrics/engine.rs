//! Figures of an engine, and of the part in the overlay where there is one.

use engine::EngineHandle;
use engine::metrics::Exposition;

use super::Source;
use crate::wire::Circuits;

/// An engine, and what goes through circuits.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) engine: EngineHandle,
    pub(crate) circuits: Circuits,
}

impl Source for Engine {
    async fn write(&self, page: &mut Exposition) {
        if let Ok(figures) = self.engine.metrics().await {
            figures.write(page);
        }
        if let Some(reporter) = self.circuits.reporter() {
            reporter.write(page).await;
        }
    }
}
