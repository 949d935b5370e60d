//! The text format that figures are asked for in: OpenMetrics 1.0.
//!
//! # Format
//! For each figure `# TYPE`, `# UNIT` and `# HELP`, then a line for each value: the name, of a counter with `_total` behind it,
//! labels in braces, a space, the number. The last line is `# EOF`.

use std::fmt::{Display, Write as _};

use super::{Histogram, Kind};

/// A page of figures.
#[derive(Clone, Debug)]
pub struct Exposition {
    text: String,
    prefix: &'static str,
    /// The name of the values that come now.
    name: String,
}

impl Exposition {
    /// What the page is, for HTTP.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// An empty page, of figures whose names begin with this and a `_`.
    pub const fn new(prefix: &'static str) -> Self {
        Self {
            text: String::new(),
            prefix,
            name: String::new(),
        }
    }

    /// Begins a figure; its values come next. Dots in its name become `_`, and a unit has to be the end of it.
    pub fn family(&mut self, name: &str, kind: Kind, unit: &str, help: &str) {
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = format!("{}_{name}", self.prefix);
        let (word, end) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Histogram => ("histogram", ""),
        };
        let _ = writeln!(self.text, "# TYPE {name} {word}");
        if !unit.is_empty() && name.ends_with(&format!("_{unit}")) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {name} {}", escaped(help));
        self.name = name + end;
    }

    /// A figure that says how many took how long.
    pub fn histogram(&mut self, of: &Histogram) {
        let about = of.about;
        self.family(about.name, about.kind, about.unit, about.help);
        let mut so_far = 0;
        for (at, count) in of.buckets.iter().enumerate() {
            so_far += count;
            let bound = Histogram::bound(at).map(|bound| format!("{:?}", bound.as_secs_f64()));
            let bound = bound.as_deref().unwrap_or("+Inf");
            let _ = writeln!(self.text, "{}_bucket{{le=\"{bound}\"}} {so_far}", self.name);
        }
        let _ = writeln!(self.text, "{}_count {so_far}", self.name);
        let sum = of.sum.as_secs_f64();
        let _ = writeln!(self.text, "{}_sum {sum:?}", self.name);
    }

    /// A value of the figure that was begun last.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}", self.name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(value));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }

    /// The whole page.
    pub fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}

/// A text as it stands between quotation marks.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', r"\\");
    text.replace('"', "\\\"").replace('\n', r"\n")
}
