//! Settings that change while the engine runs.

use std::sync::Arc;

use actix::Context;

use crate::classes::{ClassChange, ClassError};
use crate::settings::{Dht, Key, Patch, Settings, SettingsError, WrongKind};
use crate::torrent::messages::Control;
use crate::{CommandError, EngineConfig, Limits, MixedMode};

use super::Supervisor;

/// Whether the settings of the direct way can have an effect.
pub(super) fn may_decide(config: &EngineConfig, settings: &Settings) -> Result<(), SettingsError> {
    let usual = Settings::default();
    let decides =
        |key: &&Key| key.path.starts_with("network.") && key.of(settings) != key.of(&usual);
    match Settings::keys().find(decides) {
        Some(key) if config.direct.is_none() => {
            Err(SettingsError::of(key.path, WrongKind::NotHere))
        }
        _ => Ok(()),
    }
}

impl Supervisor {
    /// Changes settings, all that is asked for or nothing, and has everyone take them up.
    pub(super) fn set_settings(
        &mut self,
        patch: &Patch,
        ctx: &mut Context<Self>,
    ) -> Result<Arc<Settings>, CommandError> {
        let before = self.settings.full();
        let changed = before.with(patch).map_err(CommandError::Settings)?;
        if changed.network != before.network {
            may_decide(&self.config, &changed).map_err(CommandError::Settings)?;
        }
        let now = Arc::new(changed);
        if *now != *before {
            self.take_up(&before, &now);
        }
        if now.network != before.network {
            self.reopen_direct(ctx);
        }
        Ok(now)
    }

    /// Changes the classes of peers.
    pub(super) fn change_classes(&mut self, change: ClassChange) -> Result<(), ClassError> {
        let before = self.settings.full();
        let now = Arc::new(change.apply(&before)?);
        if *now != *before {
            self.take_up(&before, &now);
        }
        Ok(())
    }

    /// Changes the rates of all torrents together.
    pub(super) fn set_rates(&mut self, rates: Limits) {
        let before = self.settings.full();
        let mut changed = (*before).clone();
        (changed.limits.down, changed.limits.up) = (rates.down, rates.up);
        self.take_up(&before, &Arc::new(changed));
    }

    fn take_up(&mut self, before: &Settings, now: &Arc<Settings>) {
        self.settings.set(Arc::clone(now));
        self.classes.tune(before, now);
        self.down.set_rate(now.limits.down);
        self.up.set_rate(now.limits.up);
        if before.limits.mixed_mode != now.limits.mixed_mode
            && now.limits.mixed_mode == MixedMode::PreferTcp
        {
            self.shares.lift();
        }
        self.seats.set_most(now.connections.max as usize);
        self.bound_storage();
        self.disk.set_threads(now.disk.threads as usize);
        if before.dht != now.dht {
            self.tune_dht(&before.dht);
        }
        self.retune_line(now);
        for route in self.routes.iter() {
            if before.identity != now.identity {
                route.reach.rename(now);
            }
            route.retune();
        }
        for child in self.torrents.values().filter(|child| !child.is_leaving()) {
            child.say(Control::Retune);
        }
    }

    /// Has our node of the DHT behave as the settings say, as far as that is not as `before`. The nodes of other routes are as is
    /// usual: what is set to something else would tell us apart.
    pub(super) fn tune_dht(&self, before: &Dht) {
        let direct = self.routes.direct();
        let Some(door) = direct.and_then(|direct| direct.reach.dht.as_ref()) else {
            return;
        };
        let settings = &self.settings.get().dht;
        if settings.tuning() != before.tuning() {
            door.handle.tune(settings.tuning());
        }
        if settings.bootstrap != before.bootstrap {
            door.handle.set_bootstrap(settings.bootstrap.0.clone());
        }
    }

    /// Bounds what all stores hold together.
    pub(super) fn bound_storage(&self) {
        let settings = self.settings.get();
        let budget = &self.config.storage.budget;
        budget.set_open_files(settings.disk.open_files as usize);
        budget.set_mapped(settings.disk.mapped.0);
    }
}
