//! `man`: the manual pages, in roff.

use std::fs;

use clap::CommandFactory;

use crate::cli::{Cli, ManArgs};
use crate::failure::Failure;
use crate::screen::Screen;

pub(crate) fn run(args: &ManArgs, screen: &Screen) -> Result<(), Failure> {
    match &args.output {
        None => {
            let mut roff = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut roff)
                .map_err(Failure::failed)?;
            screen.write_bytes(&roff)
        }
        Some(folder) => fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
            .map_err(|error| Failure::on_file(folder, &error)),
    }
}
