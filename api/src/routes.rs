//! Which method and path is whose: the one table of all routes, those that are served and those that are not there yet.

use std::borrow::Cow;

use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::MethodRouter;
use serde_json::Value;

use crate::absent::{self, Missing};
use crate::asked::Era;
use crate::describe::{self, About};
use crate::problem::Problem;
use crate::shared::Shared;
use crate::{
    circuits, communities, debug, docs, downloads, drift, events, figures, general, health,
    libtorrent, looking, making, overlay_dht, settings, statistics, stream, torrents, tunnels,
};

/// A method and a path; where it is served, by what.
pub(crate) struct Served {
    /// The version that alone has it, or all.
    pub(crate) era: Era,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) by: MethodRouter<Shared>,
    pub(crate) about: About,
}

/// A row of [`served`].
pub(crate) const fn route(
    method: &'static str,
    path: &'static str,
    by: MethodRouter<Shared>,
    about: About,
) -> Served {
    Served {
        era: Era::Now,
        method,
        path,
        by,
        about,
    }
}

/// A row of [`served`] of the older version alone, its path without what says so.
pub(crate) fn old(
    method: &'static str,
    path: &'static str,
    by: MethodRouter<Shared>,
    about: About,
) -> Served {
    Served {
        era: Era::V70,
        ..route(method, path, by, about)
    }
}

/// The path of a route, as it is asked for and as the router has it.
pub(crate) fn whole(era: Era, path: &str) -> String {
    match era {
        Era::Now => path.to_owned(),
        Era::V70 => format!("{V70}{path}"),
    }
}

/// What is served.
fn served() -> Vec<Served> {
    let groups = [
        general::routes(),
        events::routes(),
        settings::routes(),
        statistics::routes(),
        downloads::routes(),
        stream::routes(),
        libtorrent::routes(),
        debug::routes(),
        circuits::routes(),
        tunnels::routes(),
        communities::routes(),
        overlay_dht::routes(),
        drift::routes(),
        looking::routes(),
        making::routes(),
        health::routes(),
        torrents::routes(),
        docs::routes(),
        figures::routes(),
    ];
    groups.into_iter().flatten().collect()
}

/// The description of what is served.
pub(crate) fn document() -> Value {
    let all = served();
    let all = all
        .iter()
        .map(|it| (it.method, whole(it.era, it.path), &it.about));
    describe::document(all)
}

/// The prefix of the older version.
const V70: &str = "/v7.0";

/// The version that a path is of, and the path without what says so.
pub(crate) fn era(path: &str) -> (Era, &str) {
    match path.strip_prefix(V70) {
        Some(rest) if rest.starts_with('/') => (Era::V70, rest),
        _ => (Era::Now, path),
    }
}

/// A path with those of its characters written out that need no percent sign (RFC 3986, section 6.2.2.2), which are the same path. All
/// other escapes stay as they are, those of `/` and `%` above all, so that each element is decoded once, by whoever reads it. A path
/// with an escape that is none stays as it is: what is written out could make one of it.
pub(crate) fn normal(path: &str) -> Cow<'_, str> {
    let mut parts = path.split('%');
    let mut written = parts.next().unwrap_or_default().to_owned();
    let mut changed = false;
    for part in parts {
        let Some(byte) = escaped_by(part) else {
            return Cow::Borrowed(path);
        };
        if is_unreserved(byte) {
            changed = true;
            written.push(char::from(byte));
            written.push_str(part.get(2..).unwrap_or_default());
        } else {
            written.push('%');
            written.push_str(part);
        }
    }
    if changed {
        Cow::Owned(written)
    } else {
        Cow::Borrowed(path)
    }
}

/// What the two digits stand for that come first.
fn escaped_by(part: &str) -> Option<u8> {
    let mut digits = part.chars().map(|digit| digit.to_digit(16));
    let byte = digits.next()?? * 16 + digits.next()??;
    u8::try_from(byte).ok()
}

/// RFC 3986, section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// An address with its path as [`normal`] has it.
pub(crate) fn with_normal_path(uri: &Uri) -> Result<Uri, Problem> {
    let path = match normal(uri.path()) {
        Cow::Borrowed(_) => return Ok(uri.clone()),
        Cow::Owned(path) => path,
    };
    let query = uri.query().map_or_else(String::new, |it| format!("?{it}"));
    let mut parts = uri.clone().into_parts();
    let whole = format!("{path}{query}").parse();
    parts.path_and_query = Some(whole.map_err(|_| Problem::no_path())?);
    Uri::from_parts(parts).map_err(|_| Problem::no_path())
}

/// What stands behind a method and a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Served,
    /// It is not there yet, for want of this.
    Absent(&'static str),
}

/// What is found of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// By the version that has it, or by all.
    Served(Era),
    Absent(&'static str),
    /// The path has other methods: these.
    Method(String),
    Nothing,
}

/// The table of all routes.
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) era: Era,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) standing: Standing,
}

impl Table {
    /// The table of these, and of what is not there yet.
    fn of(served: &[Served]) -> Self {
        let served = served.iter().map(|one| Row {
            era: one.era,
            method: one.method,
            path: one.path,
            standing: Standing::Served,
        });
        let missing = |era, all: &'static [Missing]| {
            all.iter().flat_map(move |(feature, routes)| {
                routes.iter().map(move |(method, path)| Row {
                    era,
                    method,
                    path,
                    standing: Standing::Absent(feature),
                })
            })
        };
        let missing = missing(Era::Now, absent::NOW).chain(missing(Era::V70, absent::V70));
        Self {
            rows: served.chain(missing).collect(),
        }
    }

    /// The table alone.
    pub(crate) fn new() -> Self {
        Self::of(&served())
    }

    /// The table, and the router of those that are served.
    pub(crate) fn with_router(shared: Shared) -> (Self, Router) {
        let served = served();
        let table = Self::of(&served);
        let mut router = Router::new();
        for one in served {
            router = router.route(&whole(one.era, one.path), one.by);
        }
        (table, router.with_state(shared))
    }

    /// The pattern of a route that is served.
    #[cfg(test)]
    pub(crate) fn pattern(&self, method: &str, path: &str) -> Option<&'static str> {
        let rows = self.rows.iter();
        let fits = rows
            .filter(|row| row.era == Era::Now && row.method == method && matches(row.path, path));
        let served = fits.filter(|row| row.standing == Standing::Served);
        let best = served.min_by_key(|row| row.path.matches('{').count());
        best.map(|row| row.path)
    }

    #[cfg(test)]
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Finds what stands behind a path. What is the older version's alone comes first there, and a word before a place for one.
    pub(crate) fn find(&self, era: Era, method: &Method, path: &str) -> Found {
        let fits = |row: &&Row| (row.era == era || row.era == Era::Now) && matches(row.path, path);
        let best = |row: &&Row| (row.era != era, row.path.matches('{').count());
        let Some(first) = self.rows.iter().filter(fits).min_by_key(best) else {
            return Found::Nothing;
        };
        // Methods of one path may name its places otherwise.
        let here = || {
            let same = |row: &&Row| best(row) == best(&first);
            self.rows.iter().filter(fits).filter(same)
        };
        let asked = if *method == Method::HEAD {
            "GET"
        } else {
            method.as_str()
        };
        if let Some(row) = here().find(|row| row.method == asked) {
            return match row.standing {
                Standing::Served => Found::Served(row.era),
                Standing::Absent(feature) => Found::Absent(feature),
            };
        }
        let mut allowed: Vec<&str> = here().map(|row| row.method).collect();
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        allowed.sort_unstable();
        Found::Method(allowed.join(", "))
    }
}

/// Whether a path is one of a pattern's, whose places in braces stand for one element each.
fn matches(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    let fits = pattern.split('/').all(|word| match parts.next() {
        Some(part) => word == part || (word.starts_with('{') && !part.is_empty()),
        None => false,
    });
    fits && parts.next().is_none()
}

#[cfg(test)]
mod tests;
