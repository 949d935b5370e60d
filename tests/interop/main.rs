//! Our command and other people's programs exchange torrents, both ways, and every byte is compared.
//!
//! Each test prints a table of its runs. `tests/setup` installs the other programs.

mod exchange;

use exchange::{Case, Run, run_all};
use support::clients::Client::{Aria2, Libtorrent, Transmission};
use support::{Need, isolated_test};

isolated_test! {
    fn the_other_clients_exchange_torrents_among_themselves(
        lab, limit = 120,
        needs = [
            Aria2.need(), Libtorrent("2.0.11").need(), Libtorrent("2.1.1").need(), Transmission.need(), TRACKER,
        ]
    ) {
        let ring = [Aria2, Libtorrent("2.0.11"), Transmission, Libtorrent("2.1.1"), Aria2];
        let cases = [Case::nested(), Case::tracker("http"), Case::tracker("udp"), Case::magnet()];
        let runs = ring.windows(2).zip(cases).map(|(pair, case)| Run::new(pair[0], pair[1], case));
        run_all(lab, runs.collect());
    }
}

const TRACKER: Need = Need::Program("opentracker");
