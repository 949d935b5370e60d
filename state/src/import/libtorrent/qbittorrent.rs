//! What qBittorrent adds to resume data: keys that begin with `qBt-`.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use protocol::bencode::Value;

use super::super::fault::{Fault, FaultKind};
use super::super::fields::Fields;
use super::super::{Imported, LeftOut};

/// What a limit says where the session's holds; times 1000 for ratios.
const OF_THE_SESSION: i64 = -2;
/// What a limit says where there is none.
const NONE: i64 = -1;
/// Tags of one torrent.
const MOST_TAGS: usize = 1000;

/// Takes the keys of qBittorrent, if there are any.
pub(super) fn take(fields: &mut Fields<'_>, it: &mut Imported) -> Result<(), Fault> {
    if let Some(name) = fields.text("qBt-name")? {
        it.torrent.name = name;
    }
    it.torrent.category = fields.text("qBt-category")?;
    it.details.comment = fields.text("qBt-comment")?;
    if let Some(tags) = fields.list("qBt-tags")? {
        let tags = tags.iter().filter_map(Value::as_bytes);
        let tags = tags.map(|tag| String::from_utf8_lossy(tag).into_owned());
        let tags = tags.filter(|tag| !tag.is_empty()).take(MOST_TAGS);
        it.torrent.tags = tags.collect();
    }
    seeding(fields, it)?;
    folders(fields, it)?;
    match fields.text("qBt-stopCondition")?.as_deref() {
        Some("FilesChecked") => it.torrent.switches.stop_when_ready = true,
        Some("MetadataReceived") => {
            it.leave_out(
                "qBt-stopCondition",
                "no torrent pauses once its metadata is there",
            );
        }
        Some(_) | None => {}
    }
    if fields.flag("qBt-firstLastPiecePriority", false)? {
        let why = "first and last pieces come first only where a torrent is fetched in order";
        it.leave_out("qBt-firstLastPiecePriority", why);
    }
    for key in ["qBt-sslCertificate", "qBt-sslPrivateKey", "qBt-sslDhParams"] {
        if fields.bytes(key)?.is_some_and(|bytes| !bytes.is_empty()) {
            it.leave_out(key, "there are no swarms under TLS");
        }
    }
    Ok(())
}

/// Until when it is seeded.
fn seeding(fields: &mut Fields<'_>, it: &mut Imported) -> Result<(), Fault> {
    let ratio = ratio(fields)?;
    let minutes = |fields: &mut Fields<'_>, key| -> Result<i64, Fault> {
        Ok(fields.int(key)?.unwrap_or(OF_THE_SESSION))
    };
    let seeding = minutes(fields, "qBt-seedingTimeLimit")?;
    let idle = minutes(fields, "qBt-inactiveSeedingTimeLimit")?;
    let rule = &mut it.torrent.seeding;
    rule.ratio_per_mille = u32::try_from(ratio).ok();
    rule.seconds = u64::try_from(seeding)
        .ok()
        .map(|minutes| minutes.saturating_mul(60));
    rule.idle_seconds = u64::try_from(idle)
        .ok()
        .map(|minutes| minutes.saturating_mul(60));
    let limited = ratio >= 0 || seeding >= 0 || idle >= 0;
    let none = [ratio, seeding, idle].contains(&NONE);
    if none && !limited {
        // Earlier versions know nothing of the third.
        rule.forever = ratio == NONE && seeding == NONE;
        if !rule.forever {
            let why = "of the limits of the session some hold and some do not, which cannot be said here: all of them hold";
            it.leave_out("qBt-ratioLimit", why);
        }
    }
    let action = fields.text("qBt-shareLimitAction")?;
    if let Some(action) = action.filter(|action| !matches!(&**action, "Default" | "Stop")) {
        it.left_out.push(LeftOut {
            field: "qBt-shareLimitAction".to_owned(),
            why: format!("{action}: a torrent that has reached its limit is paused"),
        });
    }
    Ok(())
}

/// The ratio in thousandths, or -2, or -1: a whole number, or a text with a point in old versions.
fn ratio(fields: &mut Fields<'_>) -> Result<i64, Fault> {
    let key = "qBt-ratioLimit";
    let Some(value) = fields.take(key) else {
        return Ok(OF_THE_SESSION);
    };
    let thousandths = match (value.as_int(), value.as_str()) {
        (Some(number), _) => number,
        (None, Some(text)) => {
            let ratio: Option<f64> = text.trim().parse().ok();
            let ratio = ratio.filter(|ratio| ratio.is_finite() && ratio.abs() < 1e6);
            let wrong = || FaultKind::Kind("a number");
            let ratio = ratio.ok_or_else(|| Fault::new(key, wrong()))?;
            (ratio * 1000.0).round() as i64
        }
        (None, None) => {
            let wrong = FaultKind::Kind("a number");
            return Err(Fault::new(key, wrong));
        }
    };
    Ok(match thousandths {
        -1000 => NONE,
        0.. => thousandths,
        _ => OF_THE_SESSION,
    })
}

/// Where it lies: `save_path` is where it is now.
fn folders(fields: &mut Fields<'_>, it: &mut Imported) -> Result<(), Fault> {
    let last = fields.path("qBt-savePath")?;
    let unfinished = fields.path("qBt-downloadPath")?;
    if it.torrent.dir.as_os_str().is_empty() {
        it.torrent.dir = last.clone().unwrap_or_default();
    }
    if let Some(last) = last.filter(|last| *last != it.torrent.dir)
        && unfinished.is_some()
    {
        let why = format!(
            "it lies in {} and stays there, instead of going to {} when it is complete",
            it.torrent.dir.display(),
            last.display()
        );
        it.leave_out("qBt-downloadPath", why);
    }
    Ok(())
}
