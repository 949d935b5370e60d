//! A node of ours as a process of its own: reads commands as lines of JSON and answers each with a line, as
//! `tests/live/node.py` does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::{DatagramSocket, Network, Pool, RealOptions, Task};
use overlay::endpoint::{Endpoint, EndpointConfig, Inbox};
use overlay::key::{PublicKey, SecretKey};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tunnels::message::{IntroPoint, Source};
use tunnels::{CircuitId, Config, Dialect, Event, Flags, LIBRARY, Node, Purpose, State, Tunnels};

use crate::traffic::{LEN, crowd, download, serve};
use crate::{Outcome, from_hex, hex};

/// How long anything may take that is asked of a node.
const PATIENCE: Duration = Duration::from_secs(15);

/// Circuits that are built at once where many are wanted.
const AT_ONCE: usize = 50;

struct Ours {
    tunnels: Tunnels,
    events: mpsc::Receiver<Event>,
    socket: Option<Arc<dyn DatagramSocket>>,
    linked: Option<CircuitId>,
    seeding: Option<Task<()>>,
    _inbox: Inbox,
}

/// Runs a node until its input ends.
pub(crate) async fn run(name: &str, flags: u16, most_joined: usize) -> Outcome<()> {
    let network = Network::real(RealOptions::default());
    let socket = network.datagram((Ipv4Addr::LOCALHOST, 0).into())?;
    let pool = Pool::current();
    let endpoint = Endpoint::launch(EndpointConfig::new(socket, pool.clone()));
    let dialect = match name {
        "classic" => Dialect::Classic,
        _ => Dialect::Modern,
    };
    let mut config = Config::new(dialect, LIBRARY);
    config.flags = Flags(flags);
    config.exit_to_local = true;
    config.max_joined = most_joined.max(config.max_joined);
    if most_joined > 0 {
        (config.joins_per_s, config.joins_per_host_s) = (10_000, 10_000);
    }
    let mut seed = [0; 64];
    getrandom(&mut seed)?;
    let key = SecretKey::from_bytes(&seed)?;
    let mut node = Node::new(
        Instant::now(),
        config,
        key,
        *seed.last_chunk().ok_or("seed")?,
    );
    let public = node.public().clone();
    node.set_addr(endpoint.local_addr());
    let prefix = node.prefix();
    let (tunnels, events) = Tunnels::launch(node, endpoint.clone(), network, &pool);
    let inbox = endpoint.open(Some(prefix), Some(tunnels.hook()));
    let mut ours = Ours {
        tunnels,
        events,
        socket: None,
        linked: None,
        seeding: None,
        _inbox: inbox,
    };
    let port = endpoint.local_addr().port();
    say(&json!([{"key": hex(public.as_bytes()), "port": port, "flags": flags}]));
    let (lines, mut heard) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = heard.recv().await {
        let answer = ours.obey(&serde_json::from_str(&line)?).await?;
        say(&answer);
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "how the process answers")]
fn say(answer: &Value) {
    println!("{answer}");
}

fn getrandom(bytes: &mut [u8]) -> Outcome<()> {
    use std::io::Read;

    std::fs::File::open("/dev/urandom")?.read_exact(bytes)?;
    Ok(())
}

fn number(command: &Value, name: &str) -> Outcome<u64> {
    let value = command.get(name).and_then(Value::as_u64);
    value.ok_or_else(|| format!("no {name}").into())
}

fn bytes(command: &Value, name: &str) -> Outcome<Vec<u8>> {
    let value = command.get(name).and_then(Value::as_str);
    from_hex(value.ok_or("no such field")?)
}

fn local(port: u64) -> Outcome<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, u16::try_from(port)?).into())
}

fn key(bytes: &[u8]) -> Outcome<PublicKey> {
    Ok(PublicKey::from_bytes(bytes)?)
}

impl Ours {
    async fn obey(&mut self, command: &Value) -> Outcome<Value> {
        let empty = json!({});
        match command
            .get("do")
            .and_then(Value::as_str)
            .unwrap_or_default()
        {
            "know" => {
                let other = key(&bytes(command, "key")?)?;
                let addr = local(number(command, "port")?)?;
                let flags = Flags(u16::try_from(number(command, "flags")?)?);
                self.tunnels
                    .with(|node, _| node.set_candidate(other, addr, flags));
                Ok(empty)
            }
            "build" => self.build(u8::try_from(number(command, "hops")?)?).await,
            "many" => self.many(command).await,
            "crowd" => self.crowd(command).await,
            "download" => self.download(command).await,
            "seed" => self.seed(command).await,
            "introduces" => {
                let mut seeders = Vec::new();
                while let Ok(event) = self.events.try_recv() {
                    if let Event::Introduces { seeder, .. } = event {
                        seeders.push(hex(&seeder));
                    }
                }
                Ok(json!({"seeders": seeders}))
            }
            "contact" => self.contact(command).await,
            "counts" => {
                let (joined, relays) = self.tunnels.with(|node, _| node.joined());
                let relayed = self.tunnels.with(|node, _| node.counters().relayed);
                Ok(
                    json!({"exits": joined, "relays": relays, "circuits": self.ready(), "relayed": relayed}),
                )
            }
            _ => Err("no such command".into()),
        }
    }

    fn ready(&self) -> usize {
        self.tunnels.with(|node, _| {
            let ready = |state| state == State::Ready;
            node.circuits().filter(|one| ready(one.state)).count()
        })
    }

    /// One circuit and no spare ones.
    async fn build(&mut self, hops: u8) -> Outcome<Value> {
        for other in 1..=4 {
            self.tunnels.want(other, usize::from(other == hops), 0);
        }
        self.socket = Some(self.tunnels.socket(hops));
        let begun = Instant::now();
        while self.tunnels.status(hops).ready == 0 && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(20)).await;
        }
        let ready = self.tunnels.status(hops).ready > 0;
        Ok(json!({"state": if ready { "READY" } else { "BUILDING" }, "id": 0}))
    }

    async fn download(&mut self, command: &Value) -> Outcome<Value> {
        let from = match self.linked.filter(|_| command["id"].is_null()) {
            Some(circuit) => {
                let info = self.tunnels.with(|node, _| node.circuit(circuit));
                let alias = info.and_then(|info| info.alias).ok_or("no link")?;
                alias.addr().into()
            }
            None => local(number(command, "port")?)?,
        };
        let window = u32::try_from(number(command, "window")?)?;
        let most = command["bytes"].as_u64().unwrap_or(u64::MAX) / LEN as u64;
        let seconds = command["seconds"].as_f64().ok_or("no seconds")?;
        let socket = self.socket.as_deref().ok_or("no circuit")?;
        let limits = (most, Duration::from_secs_f64(seconds));
        let got = timeout(PATIENCE * 2, download(socket, from, window, limits)).await??;
        Ok(json!({"datagrams": got.datagrams, "seconds": got.seconds}))
    }

    /// Has something through each circuit at the same time.
    async fn crowd(&self, command: &Value) -> Outcome<Value> {
        let hops = u8::try_from(number(command, "hops")?)?;
        let ports = command["ports"].as_array().ok_or("no ports")?.iter();
        let from: Outcome<Vec<SocketAddr>> = ports
            .map(|port| local(port.as_u64().ok_or("no port")?))
            .collect();
        let seconds = command["seconds"].as_f64().ok_or("no seconds")?;
        let socket = self.tunnels.socket(hops);
        let (got, heard) = crowd(&*socket, &from?, Duration::from_secs_f64(seconds)).await?;
        let used = self.tunnels.with(|node, _| {
            let used = node.circuits().filter(|one| one.bytes >= LEN as u64);
            used.count()
        });
        Ok(
            json!({"datagrams": got.datagrams, "seconds": got.seconds, "heard": heard, "used": used}),
        )
    }

    /// Waits for something to happen.
    async fn until<T>(&mut self, mut which: impl FnMut(Event) -> Option<T>) -> Outcome<T> {
        let found = async {
            loop {
                let event = self.events.recv().await.ok_or("the node is gone")?;
                if let Some(found) = which(event) {
                    return Ok(found);
                }
            }
        };
        timeout(PATIENCE, found).await?
    }

    async fn seed(&mut self, command: &Value) -> Outcome<Value> {
        let info_hash = swarm(command)?;
        let hops = u8::try_from(number(command, "hops")?)?;
        self.tunnels
            .with(|node, _| node.join_swarm(info_hash, hops, true))?;
        self.tunnels
            .with(|node, now| node.introduce(now, info_hash))?;
        self.until(|event| matches!(event, Event::Introduced { .. }).then_some(()))
            .await?;
        let socket = self.tunnels.socket(hops);
        self.seeding = Some(Pool::current().spawn(async move {
            let _ = serve(&*socket).await;
        }));
        Ok(json!({}))
    }

    async fn contact(&mut self, command: &Value) -> Outcome<Value> {
        let info_hash = swarm(command)?;
        let hops = u8::try_from(number(command, "hops")?)?;
        let port = u16::try_from(number(command, "port")?)?;
        let point = IntroPoint {
            addr: ([127, 0, 0, 1], port).into(),
            node: bytes(command, "key")?,
            seeder: bytes(command, "seeder")?,
            source: Source::Dht,
        };
        self.tunnels
            .with(|node, _| node.join_swarm(info_hash, hops, false))?;
        let data = self
            .tunnels
            .with(|node, now| node.create_circuit(now, Purpose::Data, hops, None))?;
        self.until(|event| (event == Event::Ready(data)).then_some(()))
            .await?;
        self.tunnels
            .with(|node, now| node.contact(now, info_hash, &point))?;
        let linked = self
            .until(|event| {
                let Event::Linked { circuit, .. } = event else {
                    return None;
                };
                Some(circuit)
            })
            .await?;
        self.linked = Some(linked);
        self.socket = Some(self.tunnels.socket(hops));
        Ok(json!({"linked": true}))
    }

    /// Keeps so many circuits, and says how many there are after a while. They are begun here, some at a time: by itself a node
    /// begins few.
    async fn many(&mut self, command: &Value) -> Outcome<Value> {
        let hops = u8::try_from(number(command, "hops")?)?;
        let wanted = usize::try_from(number(command, "circuits")?)?;
        self.tunnels.want(hops, wanted, 0);
        let begun = Instant::now();
        while self.ready() < wanted && begun.elapsed() < PATIENCE * 4 {
            self.tunnels.with(|node, now| {
                let building = node.circuits().filter(|one| one.state == State::Building);
                let room = AT_ONCE.saturating_sub(building.count());
                let missing = wanted.saturating_sub(node.circuits().count());
                (0..missing.min(room)).try_for_each(|_| {
                    node.create_circuit(now, Purpose::Data, hops, None)
                        .map(|_| ())
                })
            })?;
            sleep(Duration::from_millis(20)).await;
        }
        Ok(json!({"circuits": self.ready(), "seconds": begun.elapsed().as_secs_f64()}))
    }
}

fn swarm(command: &Value) -> Outcome<[u8; 20]> {
    let bytes = bytes(command, "info_hash")?;
    bytes.first_chunk().copied().ok_or_else(|| "no hash".into())
}
