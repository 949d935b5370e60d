//! A proxy that the tests play: SOCKS5 with both commands, and HTTP CONNECT.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};

use crate::{BoxStream, DatagramSocket, Listener, Network, Pool, Task};

/// A running proxy.
pub(super) struct Server {
    /// What it was asked for: `connect` or `udp`, and where to.
    pub(super) asked: Asked,
    manners: Arc<Mutex<Manners>>,
    running: Task<()>,
}

impl Server {
    /// Takes connections at `at`, from whoever knows the password, if there is one. Names that it knows are in the hosts of
    /// `network`.
    pub(super) fn start(network: &Network, at: SocketAddr, password: Option<&str>) -> Self {
        let listener = network.listen(at).unwrap();
        let asked = Asked::default();
        let manners = Arc::<Mutex<Manners>>::default();
        let serving = serve(
            listener,
            network.clone(),
            password.map(str::to_owned),
            Arc::clone(&asked),
            Arc::clone(&manners),
        );
        Self {
            asked,
            manners,
            running: Pool::current().spawn(serving),
        }
    }

    /// Carries no datagrams from now on.
    pub(super) fn refuse_datagrams(&self) {
        self.manners.lock().refuses = true;
    }

    /// Closes the connection of whoever wants datagrams carried, from now on.
    pub(super) fn drop_relays(&self) {
        self.manners.lock().drops = true;
    }

    /// Carries no datagrams any more for those who have asked, and does not tell them.
    pub(super) fn forget_relays(&self) {
        self.manners.lock().relays.clear();
    }

    /// Ends it with all that it carries.
    pub(super) fn stop(&self) {
        self.running.abort();
        self.forget_relays();
    }
}

type Asked = Arc<Mutex<Vec<String>>>;

/// How a proxy treats those who want datagrams carried.
#[derive(Default)]
struct Manners {
    refuses: bool,
    drops: bool,
    relays: Vec<Task<()>>,
}

async fn serve(
    mut listener: Box<dyn Listener>,
    network: Network,
    password: Option<String>,
    asked: Asked,
    manners: Arc<Mutex<Manners>>,
) {
    let mut guests: Vec<Task<()>> = Vec::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (network, password, asked) = (network.clone(), password.clone(), Arc::clone(&asked));
        let manners = Arc::clone(&manners);
        guests.push(Pool::current().spawn(async move {
            let _ = guest(stream, network, password, asked, &manners).await;
        }));
    }
}

async fn guest(
    mut stream: BoxStream,
    network: Network,
    password: Option<String>,
    asked: Asked,
    manners: &Mutex<Manners>,
) -> Option<()> {
    let first = stream.read_u8().await.ok()?;
    if first == b'C' {
        return http(stream, network, password, asked).await;
    }
    let mut methods = vec![0; usize::from(stream.read_u8().await.ok()?)];
    stream.read_exact(&mut methods).await.ok()?;
    let method = if password.is_some() { 2 } else { 0 };
    stream.write_all(&[5, method]).await.ok()?;
    if let Some(password) = password {
        let mut told = Vec::new();
        stream.read_u8().await.ok()?;
        for _ in 0..2 {
            let mut part = vec![0; usize::from(stream.read_u8().await.ok()?)];
            stream.read_exact(&mut part).await.ok()?;
            told.push(String::from_utf8(part).unwrap());
        }
        let good = told.join(":") == password;
        stream.write_all(&[1, u8::from(!good)]).await.ok()?;
        if !good {
            return None;
        }
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.ok()?;
    let (host, port) = address(&mut stream, head[3]).await?;
    match head[1] {
        1 => {
            asked.lock().push(format!("connect {host}:{port}"));
            let Some(there) = reach(&network, &host, port).await else {
                stream
                    .write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0])
                    .await
                    .ok()?;
                return None;
            };
            stream
                .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
                .await
                .ok()?;
            join(stream, there).await
        }
        3 => {
            asked.lock().push(format!("udp {host}:{port}"));
            if manners.lock().refuses {
                let refusal = [5, 7, 0, 1, 0, 0, 0, 0, 0, 0];
                stream.write_all(&refusal).await.ok()?;
                return None;
            }
            relay(stream, network, asked, manners).await
        }
        _ => None,
    }
}

async fn http(
    mut stream: BoxStream,
    network: Network,
    password: Option<String>,
    asked: Asked,
) -> Option<()> {
    let mut head = b"C".to_vec();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let wanted = password.map(|plain| protocol::base64::encode(plain.as_bytes()));
    if wanted
        .is_some_and(|wanted| !head.contains(&format!("Proxy-Authorization: Basic {wanted}\r\n")))
    {
        stream
            .write_all(b"HTTP/1.1 407 Who are you?\r\n\r\n")
            .await
            .ok()?;
        return None;
    }
    let to = head.split(' ').nth(1)?.to_owned();
    asked.lock().push(format!("connect {to}"));
    let (host, port) = to.rsplit_once(':')?;
    let Some(there) = reach(&network, host, port.parse().ok()?).await else {
        stream
            .write_all(b"HTTP/1.1 502 No way\r\n\r\n")
            .await
            .ok()?;
        return None;
    };
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nVia: test\r\n\r\n")
        .await
        .ok()?;
    join(stream, there).await
}

async fn reach(network: &Network, host: &str, port: u16) -> Option<BoxStream> {
    let addrs = network.lookup(host, port).await.ok()?;
    network.dial_any(&addrs).await.ok()
}

async fn join(mut here: BoxStream, mut there: BoxStream) -> Option<()> {
    copy_bidirectional(&mut here, &mut there).await.ok()?;
    Some(())
}

async fn address(stream: &mut BoxStream, kind: u8) -> Option<(String, u16)> {
    let host = match kind {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await.ok()?;
            std::net::Ipv4Addr::from(ip).to_string()
        }
        3 => {
            let mut name = vec![0; usize::from(stream.read_u8().await.ok()?)];
            stream.read_exact(&mut name).await.ok()?;
            String::from_utf8(name).ok()?
        }
        _ => return None,
    };
    Some((host, stream.read_u16().await.ok()?))
}

/// Passes datagrams between the first one who sends and everybody else, while the stream lasts.
async fn relay(
    mut stream: BoxStream,
    network: Network,
    asked: Asked,
    manners: &Mutex<Manners>,
) -> Option<()> {
    let inner = network.datagram("0.0.0.0:0".parse().unwrap()).ok()?;
    let outer = network.datagram("0.0.0.0:0".parse().unwrap()).ok()?;
    let port = inner.local_addr().port().to_be_bytes();
    // Unspecified: where the proxy is.
    stream
        .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, port[0], port[1]])
        .await
        .ok()?;
    let client = Arc::<Mutex<Option<SocketAddr>>>::default();
    let out = {
        let (inner, outer, client) = (Arc::clone(&inner), Arc::clone(&outer), Arc::clone(&client));
        Pool::current().spawn(outwards(inner, outer, client, network, asked))
    };
    let back = Pool::current().spawn(async move {
        let mut buffer = [0; 2000];
        while let Ok((len, from)) = outer.recv_from(&mut buffer).await {
            let mut wrapped = Vec::new();
            let from = protocol::proxy::Destination::Addr(from);
            protocol::proxy::datagram::wrap(&from, &buffer[..len], &mut wrapped);
            let to = *client.lock();
            if let Some(to) = to {
                let _ = inner.send_to(&wrapped, to).await;
            }
        }
    });
    if manners.lock().drops {
        return None;
    }
    let first = {
        let mut manners = manners.lock();
        manners.relays.extend([out, back]);
        manners.relays.len() - 2
    };
    while stream.read_u8().await.is_ok() {}
    let manners = manners.lock();
    let ended = manners.relays.get(first..first + 2);
    ended.into_iter().flatten().for_each(Task::abort);
    Some(())
}

async fn outwards(
    inner: Arc<dyn DatagramSocket>,
    outer: Arc<dyn DatagramSocket>,
    client: Arc<Mutex<Option<SocketAddr>>>,
    network: Network,
    asked: Asked,
) {
    let mut buffer = [0; 2000];
    while let Ok((len, from)) = inner.recv_from(&mut buffer).await {
        *client.lock() = Some(from);
        let datagram = &buffer[..len];
        if let Some((to, payload)) = protocol::proxy::datagram::unwrap(datagram) {
            let _ = outer.send_to(payload, to).await;
        } else if let [0, 0, 0, 3, name_len, rest @ ..] = datagram {
            let (name, rest) = rest.split_at(usize::from(*name_len));
            let name = String::from_utf8(name.to_vec()).unwrap();
            let port = u16::from_be_bytes([rest[0], rest[1]]);
            asked.lock().push(format!("name {name}:{port}"));
            let addrs = network.lookup(&name, port).await.unwrap();
            let _ = outer.send_to(&rest[2..], addrs[0]).await;
        }
    }
}
