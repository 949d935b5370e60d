//! Other programs that go out through a SOCKS5 proxy, Dante or ours, meet ours, which lets nobody else in.

use std::time::{Duration, Instant};

use support::Lab;
use support::cases::side_by_side;
use support::clients::proxy::{Kind, Proxy};
use support::clients::{Client, Orders, Transport, finish, home};
use support::content::Content;
use support::payload::Payload;
use support::sandbox::refuse;

use crate::socks::Server;

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(60);

/// What they go out through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    Dante,
    Ours,
}

/// Exchanges files with each of `clients` by TCP and by uTP, both ways.
pub(crate) fn every_exchange(lab: &Lab, through: Through, clients: &[Client]) {
    let ways = [
        (Transport::Tcp, true),
        (Transport::Tcp, false),
        (Transport::Utp, true),
        (Transport::Utp, false),
    ];
    let with = |&client: &Client| ways.map(|(transport, we_seed)| (client, transport, we_seed));
    let cases: Vec<_> = clients.iter().flat_map(with).collect();
    side_by_side(4, &cases, |&(client, transport, we_seed)| {
        exchange(lab, through, client, transport, we_seed);
    });
}

/// Exchanges a file with `client`, which dials through a proxy, and compares the bytes.
fn exchange(lab: &Lab, through: Through, client: Client, transport: Transport, we_seed: bool) {
    let content = Content::new(lab, Payload::single("behind.bin", 8_000_001, 61));
    let (at, from, ours_at) = (lab.address(), lab.address().ip(), lab.address());
    let own = lab.folder(&format!("proxy {}", at.port()));
    let (mut dante, mut server) = (None, None);
    match through {
        Through::Dante => dante = Some(Proxy::start(Kind::Dante, at, from, &own)),
        Through::Ours => server = Some(Server::start(at, from, None)),
    }
    for kind in ["tcp", "udp"] {
        refuse(&format!(
            "ip saddr != {from} {kind} dport {}",
            ours_at.port()
        ));
    }
    let (dir, theirs_at) = home(lab, "downloads");
    let job = |seed, listen, peers| {
        let mut job = content.download(&dir, listen, peers);
        if seed {
            job.dir.clone_from(&content.dir);
        }
        job.seed = seed;
        job
    };
    let begin = Instant::now();
    let ours = job(we_seed, ours_at, Vec::new()).with(Orders::by(transport));
    let mut ours = Client::Ours.run(lab, &ours);
    if we_seed {
        finish(&mut *ours, READY, "the seed");
    }
    let orders = Orders {
        proxy: Some(at),
        ..Orders::by(transport)
    };
    let mut theirs = client.run(lab, &job(!we_seed, theirs_at, vec![ours_at]).with(orders));
    let leech = if we_seed { &mut theirs } else { &mut ours };
    finish(&mut **leech, DONE, "the download");
    let took = begin.elapsed();
    for running in [&mut theirs, &mut ours] {
        running.process().stop();
    }
    content.assert_arrived(&dir);
    drop((dante, server));
    let (seeder, leecher) = if we_seed {
        (Client::Ours, client)
    } else {
        (client, Client::Ours)
    };
    lab.report(&format!(
        "| {} behind {through:?}, {} | {} to {} | {:.1} s |",
        client.name(),
        transport.word(),
        seeder.name(),
        leecher.name(),
        took.as_secs_f64()
    ));
}
