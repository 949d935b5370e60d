//! All servers of a tracker.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::{StartError, TrackerHandle};
use crate::api::{Api, Health, Service};
use crate::core::Core;
use crate::http::{self, HttpCounts, HttpServer};
use crate::settings::{ApiSettings, Settings};
use crate::tls::Tls;
use crate::udp::{self, UdpCounts, UdpServer};
use crate::web::WebServer;

/// Where servers listen, in the order of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// UDP trackers.
    pub udp: Vec<SocketAddr>,
    /// HTTP trackers.
    pub http: Vec<SocketAddr>,
    /// The management API.
    pub api: Option<SocketAddr>,
    /// Where it is told whether all servers answer.
    pub health: Option<SocketAddr>,
}

#[derive(Debug)]
pub(super) struct Servers {
    udp: Vec<UdpServer>,
    http: Vec<(HttpServer, Option<Tls>)>,
    api: Option<ApiServer>,
    health: Option<WebServer>,
}

/// Certificates that are shown, and what they become.
#[derive(Debug)]
pub(super) struct Certificates(Vec<(Tls, Tls)>);

#[derive(Debug)]
struct ApiServer {
    server: WebServer,
    api: Arc<Api>,
    tls: Option<Tls>,
}

impl Servers {
    pub(super) fn start(
        settings: &Settings,
        core: &Arc<Core>,
        handle: &TrackerHandle,
    ) -> Result<Self, StartError> {
        let workers = settings.threads();
        let at = |at| move |source| StartError::Listen { at, source };
        // Two addresses of ours may have something in common, such as [::] and 0.0.0.0: all are looked at before one is taken.
        for udp in &settings.udp {
            udp::must_be_free(udp.bind).map_err(at(udp.bind))?;
        }
        for http in &settings.http {
            http::must_be_free(http.bind).map_err(at(http.bind))?;
        }
        let udp = settings.udp.iter().map(|udp| {
            let server = UdpServer::start(core, udp.bind, workers);
            server.map_err(at(udp.bind))
        });
        let udp = udp.collect::<Result<_, _>>()?;
        let http = settings.http.iter().map(|http| {
            let tls = Tls::of(http.certificate.as_deref(), http.private_key.as_deref())?;
            let how = (http.rules(), http.limits());
            let server = HttpServer::start(core, http.bind, workers, how, tls.as_ref());
            Ok((server.map_err(at(http.bind))?, tls))
        });
        let http = http.collect::<Result<_, StartError>>()?;
        let mut servers = Self {
            udp,
            http,
            api: None,
            health: None,
        };
        if let Some(api) = &settings.api {
            servers.start_api(api, handle)?;
        }
        if let Some(health) = &settings.health {
            let answers = Arc::new(Health::new(servers.services()));
            let server = WebServer::start("tracker-health", health.bind, None, answers);
            servers.health = Some(server.map_err(at(health.bind))?);
        }
        Ok(servers)
    }

    fn start_api(
        &mut self,
        settings: &ApiSettings,
        handle: &TrackerHandle,
    ) -> Result<(), StartError> {
        let tls = Tls::of(
            settings.certificate.as_deref(),
            settings.private_key.as_deref(),
        )?;
        let tokens = settings.tokens.clone();
        let api = Api::new(handle, tokens, settings.torrust_compat);
        let api = Arc::new(api);
        let answers = Arc::<Api>::clone(&api);
        let server = WebServer::start("tracker-api", settings.bind, tls.clone(), answers);
        let server = server.map_err(|source| StartError::Listen {
            at: settings.bind,
            source,
        })?;
        self.api = Some(ApiServer { server, api, tls });
        Ok(())
    }

    /// What is asked whether it answers.
    fn services(&self) -> Vec<Service> {
        let udp = self.udp.iter().map(|udp| Service::Udp(udp.local_addr()));
        let http = self.http.iter().map(|(http, tls)| match tls {
            Some(_) => Service::Https(http.local_addr()),
            None => Service::Http(http.local_addr(), "/health_check"),
        });
        let api = self.api.iter().map(|api| match api.tls {
            Some(_) => Service::Https(api.server.local_addr()),
            None => Service::Http(api.server.local_addr(), "/api/health_check"),
        });
        udp.chain(http).chain(api).collect()
    }

    pub(super) fn listening(&self) -> Listening {
        Listening {
            udp: self.udp.iter().map(UdpServer::local_addr).collect(),
            http: self
                .http
                .iter()
                .map(|(http, _)| http.local_addr())
                .collect(),
            api: self.api.as_ref().map(|api| api.server.local_addr()),
            health: self.health.as_ref().map(WebServer::local_addr),
        }
    }

    /// Reads certificates again, all of them before one is shown.
    ///
    /// # Errors
    /// [`StartError::Certificate`].
    pub(super) fn read_again(&self, settings: &Settings) -> Result<Certificates, StartError> {
        let of = |file: &Option<PathBuf>, key: &Option<PathBuf>, shown: &Option<Tls>| {
            let read = Tls::of(file.as_deref(), key.as_deref())?;
            Ok(shown.clone().zip(read))
        };
        let http = self.http.iter().zip(&settings.http);
        let http = http.map(|((_, tls), http)| of(&http.certificate, &http.private_key, tls));
        let api = self.api.iter().zip(&settings.api);
        let api = api.map(|(shown, api)| of(&api.certificate, &api.private_key, &shown.tls));
        http.chain(api)
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()
            .map(Certificates)
    }

    /// Takes other tokens and certificates.
    pub(super) fn reload(&self, settings: &Settings, certificates: &Certificates) {
        for (shown, read) in &certificates.0 {
            shown.become_like(read);
        }
        if let (Some(api), Some(settings)) = (&self.api, &settings.api) {
            api.api.tokens.store(Arc::new(settings.tokens.clone()));
        }
    }

    /// What was answered by UDP.
    pub(super) fn udp(&self) -> UdpCounts {
        let mut sum = UdpCounts::default();
        for server in &self.udp {
            sum.add(server.counts().array());
        }
        sum
    }

    /// What was answered by HTTP.
    pub(super) fn http(&self) -> HttpCounts {
        let mut sum = HttpCounts::default();
        for (server, _) in &self.http {
            sum.add(server.counts().array());
        }
        sum
    }
}
