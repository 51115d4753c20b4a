//! The two texts that metrics are read as: OpenMetrics, as the registry writes it, and the older format of Prometheus.

use std::fmt::Write as _;

/// Which text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus 0.0.4: what is answered to whoever says nothing else.
    Prometheus,
}

impl TextFormat {
    /// The one an `Accept` header asks for.
    pub fn accepted(accept: &str) -> Self {
        // A scraper of this century names OpenMetrics first, and takes either.
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its name for `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Brings OpenMetrics into this format.
    pub(super) fn of(self, open: String) -> String {
        if self == Self::OpenMetrics { open } else { prometheus(&open) }
    }
}

/// The older format names a counter's family like its samples, and knows no end mark.
fn prometheus(open: &str) -> String {
    let mut out = String::with_capacity(open.len() + open.len() / 50);
    let mut help = None;
    for line in open.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            help = text.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|text| text.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, text)) = help.take() {
                let _ = writeln!(out, "# HELP {name}{suffix} {text}");
            }
            let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
        } else if line != "# EOF" {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_named_like_its_samples_in_the_older_format() {
        let open = "# HELP a Things that were done\n# TYPE a counter\na_total{x=\"y\"} 1\n# HELP b B\n# TYPE b gauge\nb 2\n# EOF\n";
        let old = "# HELP a_total Things that were done\n# TYPE a_total counter\na_total{x=\"y\"} 1\n# HELP b B\n# TYPE b gauge\nb 2\n";
        assert_eq!(prometheus(open), old);
    }

    #[test]
    fn the_older_format_is_answered_unless_the_newer_is_asked_for() {
        let asked =
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*;q=0.1";
        assert_eq!(TextFormat::accepted(asked), TextFormat::OpenMetrics);
        assert_eq!(TextFormat::accepted("*/*"), TextFormat::Prometheus);
        assert_eq!(TextFormat::accepted(""), TextFormat::Prometheus);
    }
}
