//! The REST API of a real daemon, as users meet it: by the lines of README, in a browser, and by a program that tries whatever its
//! description allows.

mod browser;
mod daemon;
mod readme;
mod schema;

use support::{Need, isolated_test};

isolated_test! {
    fn a_browser_adds_a_torrent_hears_of_it_and_plays_it_while_it_comes(
        lab, limit = 120, needs = [Need::Ours, Need::Program(support::browser::PROGRAM)]
    ) {
        browser::visit(lab);
    }
}

isolated_test! {
    fn the_session_of_the_readme_does_what_it_says(lab, limit = 60, needs = [Need::Ours, Need::Program("curl")]) {
        readme::session(lab);
    }
}

isolated_test! {
    fn whatever_the_description_allows_is_answered_as_described(
        lab, limit = 600, needs = [Need::Ours, Need::Schemathesis]
    ) {
        schema::whatever_it_says(lab);
    }
}
