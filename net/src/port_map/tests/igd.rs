//! A gateway that speaks UPnP, played on the simulated network, well or badly.

use std::collections::BTreeMap;

use protocol::port_mapping::upnp::Service;
use protocol::port_mapping::upnp::ssdp::GROUP;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Whom a port is forwarded to, and for how long, by what travels to it and its number outside.
pub(super) type Table = BTreeMap<(String, u16), (String, u32)>;

/// How it behaves.
#[derive(Clone)]
pub(super) struct Ways {
    pub(super) service: Service,
    /// Where its HTTP server is.
    pub(super) port: u16,
    /// What it says instead of where its description is.
    pub(super) location: Option<String>,
    /// What it answers a GET with instead of its description.
    pub(super) description: Option<Vec<u8>>,
    /// Where it says that it is asked.
    pub(super) control: String,
    /// The address that the world sees.
    pub(super) external_ip: &'static str,
    /// What it answers every POST with instead.
    pub(super) reply: Option<Vec<u8>>,
    /// What it refuses first, by the name of the request, with which code.
    pub(super) refuses: Vec<(&'static str, u16)>,
    /// The longest lease that it gives; 0 if it gives for ever only.
    pub(super) lease: u32,
    /// Requests that it takes this long for.
    pub(super) slow: Option<(&'static str, Duration)>,
    /// It does not forward what it says it does, but to this host.
    pub(super) lies: Option<&'static str>,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            service: Service::Ip1,
            port: 5000,
            location: None,
            description: None,
            control: "/ctl".to_owned(),
            external_ip: "9.9.9.9",
            reply: None,
            refuses: Vec::new(),
            lease: 86_400,
            slow: None,
            lies: None,
        }
    }
}

/// The gateway, as the test sees it.
#[derive(Clone)]
pub(super) struct Igd {
    at: IpAddr,
    network: Network,
    pub(super) ways: Arc<Mutex<Ways>>,
    pub(super) table: Arc<Mutex<Table>>,
    /// What it was asked, searches included.
    pub(super) heard: Arc<Mutex<Vec<String>>>,
}

impl Igd {
    pub(super) fn new(network: Network, at: IpAddr, ways: Ways) -> Self {
        Self {
            at,
            network,
            ways: Arc::new(Mutex::new(ways)),
            table: Arc::default(),
            heard: Arc::default(),
        }
    }

    /// What it was asked since this was called last.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock())
    }

    /// What it forwards.
    pub(super) fn forwards(&self) -> Vec<(String, u16, String)> {
        let table = self.table.lock();
        let rows = table.iter();
        rows.map(|((transport, port), (to, _))| (transport.clone(), *port, to.clone()))
            .collect()
    }

    /// Answers searches.
    pub(super) fn answer_searches(&self) -> Task<()> {
        let (igd, network) = (self.clone(), self.network.clone());
        let group = network.multicast(GROUP, None).unwrap().remove(0);
        let socket = network.datagram("0.0.0.0:0".parse().unwrap()).unwrap();
        Pool::current().spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((len, from)) = group.recv_from(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
                let ways = igd.ways.lock().clone();
                let urn = ways.service.urn();
                if !text.starts_with("M-SEARCH * HTTP/1.1\r\n") || !text.contains(urn) {
                    continue;
                }
                igd.heard.lock().push("search".to_owned());
                let own = format!("http://{}:{}/desc.xml", igd.at, ways.port);
                let location = ways.location.unwrap_or(own);
                let answer =
                    format!("HTTP/1.1 200 OK\r\nST: {urn}\r\nLOCATION: {location}\r\n\r\n");
                let _ = socket.send_to(answer.as_bytes(), from).await;
            }
        })
    }

    /// Knows another way, too.
    pub(super) fn serve_datagrams(&self, knows: Knows) -> Task<()> {
        let at = "0.0.0.0:5351".parse().unwrap();
        let socket = self.network.datagram(at).unwrap();
        Pool::current().spawn(serve(socket, knows, Arc::default()))
    }

    /// Answers requests at the port that its ways name now.
    pub(super) fn answer_requests(&self) -> Task<()> {
        let igd = self.clone();
        let at = SocketAddr::new(self.at, self.ways.lock().port);
        let mut listener = self.network.listen(at).unwrap();
        Pool::current().spawn(async move {
            let mut serving = Vec::new();
            while let Ok((stream, from)) = listener.accept().await {
                let igd = igd.clone();
                serving.push(Pool::current().spawn(async move { igd.serve(stream, from).await }));
            }
        })
    }

    async fn serve(&self, mut stream: crate::BoxStream, from: SocketAddr) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let value = |name: &str| {
            let mut lines = head.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let mut body = vec![0; value("Content-Length").map_or(0, |len| len.parse().unwrap())];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let body = String::from_utf8(body).unwrap();
        let ways = self.ways.lock().clone();
        let reply = match value("Soapaction") {
            None => {
                self.heard.lock().push("description".to_owned());
                ways.description
                    .unwrap_or_else(|| page(200, &description(ways.service, &ways.control)))
            }
            Some(action) => {
                let urn = ways.service.urn();
                let name = action
                    .strip_prefix(&format!("\"{urn}#"))
                    .unwrap()
                    .trim_end_matches('"');
                if let Some((slow, time)) = ways.slow
                    && name == slow
                {
                    self.heard.lock().push(format!("{name}, slowly"));
                    sleep(time).await;
                }
                let reply = self.act(name, &body, from);
                ways.reply.unwrap_or(reply)
            }
        };
        let _ = stream.write_all(&reply).await;
        let _ = stream.shutdown().await;
    }

    /// Does what it is asked.
    fn act(&self, name: &str, body: &str, from: SocketAddr) -> Vec<u8> {
        let argument = |name: &str| {
            let rest = body.split_once(&format!("<{name}>"))?.1;
            Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
        };
        let number = |name: &str| argument(name).unwrap().parse::<u32>().unwrap();
        let mut ways = self.ways.lock();
        let told = |name| argument(name).unwrap_or_default();
        let line = ["NewProtocol", "NewExternalPort", "NewLeaseDuration"].map(told);
        let line = format!("{name} {}", line.join(" "));
        self.heard.lock().push(line.trim_end().to_owned());
        if let Some(at) = ways.refuses.iter().position(|(what, _)| *what == name) {
            return refusal(ways.refuses.remove(at).1);
        }
        let key = || (told("NewProtocol"), number("NewExternalPort") as u16);
        let mut table = self.table.lock();
        match name {
            "GetExternalIPAddress" => {
                let ip = ways.external_ip;
                done(
                    name,
                    &format!("<NewExternalIPAddress>{ip}</NewExternalIPAddress>"),
                )
            }
            "AddPortMapping" | "AddAnyPortMapping" => {
                let (transport, mut port) = key();
                let to = format!(
                    "{}:{}",
                    told("NewInternalClient"),
                    number("NewInternalPort")
                );
                assert_eq!(told("NewInternalClient"), from.ip().to_string());
                assert_eq!(
                    (told("NewRemoteHost"), number("NewEnabled")),
                    (String::new(), 1)
                );
                let lease = number("NewLeaseDuration");
                if ways.lease == 0 && lease > 0 {
                    return refusal(725);
                }
                let taken = |port| {
                    let row = table.get(&(transport.clone(), port));
                    row.is_some_and(|(other, _)| *other != to)
                };
                if name == "AddAnyPortMapping" {
                    while taken(port) {
                        port += 1;
                    }
                } else if taken(port) {
                    return refusal(718);
                }
                let to = ways.lies.map_or(to, str::to_owned);
                table.insert((transport, port), (to, lease.min(ways.lease)));
                done(name, &format!("<NewReservedPort>{port}</NewReservedPort>"))
            }
            "DeletePortMapping" => match table.remove(&key()) {
                Some(_) => done(name, ""),
                None => refusal(714),
            },
            "GetSpecificPortMappingEntry" => match table.get(&key()) {
                Some((to, lease)) => {
                    let (client, port) = to.split_once(':').unwrap();
                    done(
                        name,
                        &format!(
                            "<NewInternalPort>{port}</NewInternalPort><NewInternalClient>{client}</NewInternalClient>\
                             <NewEnabled>1</NewEnabled><NewLeaseDuration>{lease}</NewLeaseDuration>"
                        ),
                    )
                }
                None => refusal(714),
            },
            _ => refusal(401),
        }
    }
}

/// A reply with a body.
pub(super) fn page(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn description(service: Service, control: &str) -> String {
    let urn = service.urn();
    format!(
        "<?xml version=\"1.0\"?><root><device><deviceList><device><serviceList><service><serviceType>{urn}</serviceType>\
         <controlURL>{control}</controlURL></service></serviceList></device></deviceList></device></root>"
    )
}

fn done(name: &str, arguments: &str) -> Vec<u8> {
    page(
        200,
        &format!(
            "<s:Envelope><s:Body><u:{name}Response>{arguments}</u:{name}Response></s:Body></s:Envelope>"
        ),
    )
}

fn refusal(code: u16) -> Vec<u8> {
    page(
        500,
        &format!(
            "<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>{code}</errorCode></UPnPError></detail></s:Fault>\
             </s:Body></s:Envelope>"
        ),
    )
}
