//! Looking where this host is: interfaces come and go.

use std::time::{Duration, Instant};

use super::{Shared, State};
use crate::home::Home;

/// How long it is believed.
const FRESH: Duration = Duration::from_secs(30);

/// How soon it is looked again where the system did not say.
const AGAIN: Duration = Duration::from_secs(1);

impl Shared {
    /// Tells the machine where this host is, where somebody may have something sent out and that is not known, or not any more.
    /// As long as the system does not say it, nothing is sent out.
    pub(super) fn look_home(&self, now: Instant, state: &mut State) {
        let fresh = state.next_look.is_some_and(|next| now < next);
        if fresh || state.node.joined().0 == 0 {
            return;
        }
        let (home, next) = match self.network.networks() {
            Ok(networks) => (Home::of(&networks), FRESH),
            Err(error) => {
                tracing::warn!(%error, "an exit does not know its own networks, and lets nothing out");
                (Home::unknown(), AGAIN)
            }
        };
        state.node.set_home(home);
        state.next_look = Some(now + next);
    }
}
