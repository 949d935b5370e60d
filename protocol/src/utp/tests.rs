//! Two machines and a path between them.

mod abuse;
mod congestion;
mod cubic;
mod link;
mod reliability;
