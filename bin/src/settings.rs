//! The settings of a command: defaults, under a preset, under a file, under flags.

use std::path::Path;

use engine::Settings;
use engine::settings::{Layers, Patch, SettingsError};

use crate::cli::in_file;
use crate::cli::settings::SettingsArgs;
use crate::cli::transfer::{AnnounceToAll, Common, Encryption, MixedMode, Preallocate, Storage};
use crate::failure::Failure;

/// What the arguments make: the defaults, under a preset, under the file, under what was `kept`, under `flags` and `--set`.
///
/// # Errors
/// [`Failure::NotFound`] where the file is not there; [`Failure::Usage`] names everything that is wrong.
pub(crate) fn layered(
    args: &SettingsArgs,
    kept: &Patch,
    flags: Patch,
) -> Result<Settings, Failure> {
    let mut layers = match &args.config {
        Some(path) => load(path).map_err(usage)?,
        None => Layers::default(),
    };
    layers.preset = args.preset.or(layers.preset);
    for (key, value) in kept.iter() {
        layers.patch = std::mem::take(&mut layers.patch).with(key, value.clone());
    }
    let mut last = flags;
    for (key, value) in &args.set {
        last = last.with(key, value.clone());
    }
    layers
        .settings(&last)
        .map_err(|error| Failure::Usage(error.to_string()))
}

/// Has what the settings say of the network stand where flags of it do, unless these say something else.
///
/// # Errors
/// As [`layered`].
pub(crate) fn settle(common: &mut Common) -> Result<(), Failure> {
    let settings = layered(&common.settings, &Patch::new(), of_flags(common))?;
    *common = crate::wire::settled(common, &settings.network, &settings.network);
    Ok(())
}

/// Reads a file of settings.
///
/// # Errors
/// [`Failure::NotFound`] where it is not there; [`Failure::Failed`] names everything that is wrong.
pub(crate) fn load(path: &Path) -> Result<Layers, Failure> {
    if !path.exists() {
        return Err(Failure::NotFound(format!(
            "{} does not exist",
            path.display()
        )));
    }
    Layers::load_with(path, &[in_file::TABLE])
        .map_err(|error: SettingsError| Failure::Failed(error.to_string()))
}

/// A command that is given a wrong file is used wrong.
pub(crate) fn usage(failure: Failure) -> Failure {
    match failure {
        Failure::Failed(text) => Failure::Usage(text),
        other @ (Failure::Told
        | Failure::Usage(_)
        | Failure::NotFound(_)
        | Failure::Unreachable(_)
        | Failure::Anonymity(_)) => other,
    }
}

/// What the flags of `download` and `seed` say about settings.
pub(crate) fn of_flags(common: &Common) -> Patch {
    let mut patch = Patch::new();
    let mut word = |key, word: Option<&str>| {
        if let Some(word) = word {
            patch = std::mem::take(&mut patch).with(key, word);
        }
    };
    word(
        "encryption.peers",
        common.encryption.map(|encryption| match encryption {
            Encryption::Off => "off",
            Encryption::Allow => "allow",
            Encryption::Prefer => "prefer",
            Encryption::Require => "require",
        }),
    );
    word(
        "limits.mixed_mode",
        common.mixed_mode.map(|mode| match mode {
            MixedMode::Proportional => "proportional",
            MixedMode::PreferTcp => "prefer-tcp",
        }),
    );
    word(
        "trackers.mode",
        common.announce_to_all.map(|all| match all {
            AnnounceToAll::Tiers => "tiers",
            AnnounceToAll::Trackers => "trackers",
        }),
    );
    word(
        "disk.write",
        common.storage.map(|storage| match storage {
            Storage::Map => "map",
            Storage::Pwrite => "pwrite",
        }),
    );
    word(
        "disk.preallocate",
        common.preallocate.map(|preallocate| match preallocate {
            Preallocate::Full => "full",
            Preallocate::Sparse => "sparse",
        }),
    );
    if common.no_pex {
        patch = patch.with("peers.exchange", false);
    }
    if common.no_lsd {
        patch = patch.with("local_discovery.enabled", false);
    }
    if common.unlimited_lan {
        patch = patch.with("limits.local", false);
    }
    if let Some(port) = common.announce_port {
        patch = patch.with("trackers.announce_port", u32::from(port));
    }
    if let Some(rate) = common.max_down {
        patch = patch.with("limits.down", rate.0);
    }
    if let Some(rate) = common.max_up {
        patch = patch.with("limits.up", rate.0);
    }
    if let Some(most) = common.max_peers {
        patch = patch
            .with("connections.max", most)
            .with("connections.per_torrent", most);
    }
    patch
}
