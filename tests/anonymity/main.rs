//! Our command goes through circuits of nodes that are real processes, and nothing goes another way.

mod bound;
mod changes;
mod leaks;
mod links;
mod programs;
mod proxied;
mod real;
mod speed;
mod through;

use support::clients::Client::Libtorrent;
use support::{Need, isolated_test};

const LIBTORRENT: Need = Need::Libtorrent("2.1.1");

isolated_test! {
    fn a_torrent_of_libtorrent_comes_through_one_two_and_three_hops_of_a_test_network(
        lab, limit = 240, needs = [Need::Ours, LIBTORRENT]
    ) {
        through::download(lab, Libtorrent("2.1.1"));
    }
}

isolated_test! {
    fn a_torrent_of_libtorrent_comes_through_nodes_of_pyipv8_2_2_0_and_through_theirs_and_ours(
        lab, limit = 300, needs = [Need::Ours, LIBTORRENT, Need::Pyipv8("2.2.0")]
    ) {
        real::download(lab, "2.2.0", "tribler", "caf481ffae562bcc0f206fd988ec0d246de0dc96");
    }
}

isolated_test! {
    fn a_torrent_of_libtorrent_comes_through_nodes_of_pyipv8_3_2_1_and_through_theirs_and_ours(
        lab, limit = 300, needs = [Need::Ours, LIBTORRENT, Need::Pyipv8("3.2.1")]
    ) {
        real::download(lab, "3.2.1", "library", "81ded07332bdc775aa5a46f96de9f8f390bbc9f3");
    }
}

isolated_test! {
    fn who_seeds_in_hiding_is_found_and_serves(lab, limit = 240, needs = [Need::Ours]) {
        through::hidden(lab, 2, 1);
    }
}

isolated_test! {
    fn a_download_in_hiding_goes_on_when_nodes_die(lab, limit = 240, needs = [Need::Ours]) {
        through::hidden_with_deaths(lab);
    }
}

isolated_test! {
    fn two_libtorrents_behind_one_socks5_server_find_seeds_by_a_udp_tracker_and_get_their_torrents(
        lab, limit = 300, needs = [Need::Ours, LIBTORRENT, Need::Tracker]
    ) {
        programs::download(lab);
    }
}

isolated_test! {
    fn the_hops_of_a_torrent_change_while_it_comes_and_nothing_is_lost(
        lab, limit = 240, needs = [Need::Ours]
    ) {
        changes::run(lab, 10);
    }
}

isolated_test! {
    /// The same a hundred times; `./soak changes`.
    #[ignore = "minutes"]
    fn the_hops_of_a_torrent_change_a_hundred_times_and_nothing_is_lost(
        lab, limit = 900, needs = [Need::Ours]
    ) {
        changes::run(lab, 100);
    }
}

isolated_test! {
    fn what_is_in_a_link_is_looked_up_through_circuits(lab, limit = 240, needs = [Need::Ours]) {
        links::look(lab);
    }
}

isolated_test! {
    fn curl_behind_our_socks5_servers_hears_soon_what_circuits_carry(
        lab, limit = 120, needs = [Need::Ours, Need::Program("curl")]
    ) {
        programs::curl(lab);
    }
}

isolated_test! {
    fn nothing_leaves_but_to_nodes_while_circuits_die_and_the_process_starts_and_stops(
        lab, limit = 300,
        needs = [Need::Ours, LIBTORRENT, Need::Tracker, Need::Program("nft"), Need::Program("tcpdump")]
    ) {
        leaks::download(lab, 2, leaks::Extent::SHORT);
    }
}

isolated_test! {
    fn circuits_begin_where_everything_is_bound_to_or_nowhere_and_come_back_with_it(
        lab, limit = 240, needs = [Need::Ours, LIBTORRENT, Need::Program("tcpdump")]
    ) {
        bound::survives(lab);
    }
}

isolated_test! {
    fn circuits_begin_at_a_proxy_and_nothing_goes_past_it(
        lab, limit = 240,
        needs = [Need::Ours, LIBTORRENT, Need::Program("danted"), Need::Program("nft")]
    ) {
        proxied::download(lab);
    }
}

isolated_test! {
    /// The same for each number of hops, with more deaths; `./soak leaks`.
    #[ignore = "minutes"]
    fn nothing_leaves_but_to_nodes_by_any_number_of_hops_however_often_circuits_die(
        lab, limit = 900,
        needs = [Need::Ours, LIBTORRENT, Need::Tracker, Need::Program("nft"), Need::Program("tcpdump")]
    ) {
        for hops in 1..=3 {
            leaks::download(lab, hops, leaks::Extent::LONG);
        }
    }
}

isolated_test! {
    #[ignore = "a minute; prints figures: ./soak circuits"]
    fn torrents_through_circuits_in_figures(lab, limit = 900, needs = [Need::Ours, LIBTORRENT]) {
        speed::figures(lab);
    }
}
