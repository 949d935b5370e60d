//! The seam to the operating system: everything that differs between platforms stands behind this module.
//!
//! A port provides what `linux` does: [`Root`] (files below a folder, never outside it), [`file_system`], [`is_same`], [`read_exact_at`],
//! [`write_all_at`], [`read_cached`], [`read_ahead`], [`is_paged`], [`preallocate`], [`reserve`], [`reserves_cheaply`],
//! [`next_data`], [`start_writeback`], [`await_writeback`], [`component_is_plain`] and [`total_memory`]. The signal guard
//! of [`crate::map`] is the other half of a port.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(not(target_os = "linux"))]
compile_error!("storage::platform has no port to this operating system yet");
