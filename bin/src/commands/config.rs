//! `config`: the settings as a file, whether a file of them is right, and what comes of one.

use engine::Settings;
use engine::settings::Patch;

use crate::cli::in_file;
use crate::cli::settings::{ConfigArgs, ConfigCommand};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::settings;

pub(crate) fn run(args: &ConfigArgs, screen: &Screen) -> Result<(), Failure> {
    match &args.command {
        ConfigCommand::Default { preset } => {
            let patch = preset.map(engine::settings::Preset::patch);
            let settings = Settings::default().with(&patch.unwrap_or_default());
            let text = settings.map_err(Failure::failed)?.commented();
            screen.write(&(text + &in_file::commented()))
        }
        ConfigCommand::Check { file } => {
            let layers = settings::load(file)?;
            // Each value may be right, and the whole not.
            let settings = layers.settings(&Patch::new()).map_err(Failure::failed)?;
            settings.check().map_err(Failure::failed)?;
            let daemon = ["tribler-rs", in_file::TABLE.name].map(Into::into);
            in_file::merged(daemon, layers.own, file).map_err(Failure::of_checked)?;
            screen.write(&format!("{} is valid\n", file.display()))
        }
        ConfigCommand::Show { settings, json } => {
            let settings = settings::layered(settings, &Patch::new(), Patch::new())?;
            if *json {
                let text = serde_json::to_string(&settings).map_err(Failure::failed)?;
                return screen.write(&format!("{text}\n"));
            }
            let differs = settings.to_toml();
            if differs.is_empty() {
                let line = "every setting has its default value; `config default` shows all of them, and so does --json";
                screen.warn("note", line);
            }
            screen.write(&differs)
        }
    }
}
