//! The description of a device: the services that forward ports, and where they are asked.

use url::Url;

use super::Service;
use super::XmlError;
use crate::xml::Step;

/// The largest description that is worth reading, in bytes. Those of gateways have some ten thousand.
pub const MOST_BYTES: usize = 128 * 1024;

/// The most services that are taken of one device.
pub const MOST_SERVICES: usize = 4;

/// Where a service is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// What it is.
    pub service: Service,
    /// Where requests are sent. Whoever wrote the description may name any URL.
    pub url: Url,
}

/// Reads the description that was found at `location`: the services that forward ports, whichever device of those inside
/// each other has them, in their order; at most [`MOST_SERVICES`].
///
/// # Errors
///
/// See [`XmlError`]. A device without such services is not an error.
pub fn read(document: &[u8], location: &Url) -> Result<Vec<Control>, XmlError> {
    let mut base = String::new();
    let mut found: Vec<(Service, String)> = Vec::new();
    let (mut service, mut control) = (None, String::new());
    super::read(document, |step| match step {
        Step::Begin("service", _) => (service, control) = (None, String::new()),
        Step::End("serviceType", text) => service = Service::of(text),
        Step::End("controlURL", text) => text.clone_into(&mut control),
        Step::End("URLBase", text) => text.clone_into(&mut base),
        Step::End("service", _) => {
            if let Some(service) = service.take()
                && found.len() < MOST_SERVICES
                && !control.is_empty()
            {
                found.push((service, std::mem::take(&mut control)));
            }
        }
        Step::Begin(..) | Step::End(..) => {}
    })?;
    // Some devices write an address there that they had once.
    let base = Url::parse(&base).ok();
    let base = base.filter(|base| base.host() == location.host());
    let base = base.as_ref().unwrap_or(location);
    let controls = found.into_iter().filter_map(|(service, control)| {
        let url = base.join(&control).ok()?;
        Some(Control { service, url })
    });
    Ok(controls.collect())
}
