//! The daemon behind its command channel.
//!
//! [`place`] the folder of its state and who has it; [`server`] connections and their lines; [`desk`] what is asked and done;
//! [`bulletin`] events, numbered; [`told`] what they look like; [`closings`] circuits that are gone, among them; [`categories`] what torrents are sorted by; [`habits`] what it takes by itself; [`resources`] what it takes of the machine; [`kept`] what is there after the next start, and [`remembered`] in memory as well; [`notify`] the service manager,
//! who hears by [`pulse`] that all is well and hands over what is [`inherited`]; [`profiler`] where it spends its time; [`rest`] the REST API before it;
//! [`metadata`] that of links which are not added; [`making`] torrents of files.

pub(crate) mod bulletin;
pub(crate) mod categories;
pub(crate) mod closings;
pub(crate) mod desk;
pub(crate) mod habits;
pub(crate) mod inherited;
pub(crate) mod kept;
pub(crate) mod making;
pub(crate) mod metadata;
pub(crate) mod notify;
pub(crate) mod place;
pub(crate) mod profiler;
pub(crate) mod pulse;
pub(crate) mod remembered;
pub(crate) mod resources;
pub(crate) mod rest;
pub(crate) mod server;
pub(crate) mod told;
