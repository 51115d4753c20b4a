//! The paths there are, and what may be asked of each.

use super::page::FILES;
use hyper::Method;

/// A path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Route {
    Metrics,
    Alive,
    Ready,
    Status,
    Events,
    /// A file of the page, by its number.
    Page(usize),
    Pause,
    Resume,
    Throttle,
    Decide,
    LogLevel,
}

const ALL: [(Route, &str); 10] = [
    (Route::Metrics, "/metrics"),
    (Route::Alive, "/healthz"),
    (Route::Ready, "/readyz"),
    (Route::Status, "/api/v1/status"),
    (Route::Events, "/api/v1/events"),
    (Route::Pause, "/api/v1/pause"),
    (Route::Resume, "/api/v1/resume"),
    (Route::Throttle, "/api/v1/throttle"),
    (Route::Decide, "/api/v1/decide"),
    (Route::LogLevel, "/api/v1/log-level"),
];

impl Route {
    /// The one with exactly this path.
    pub(super) fn of(path: &str) -> Option<Self> {
        let file = || FILES.iter().position(|(known, ..)| *known == path).map(Self::Page);
        ALL.iter().find(|(_, known)| *known == path).map(|(route, _)| *route).or_else(file)
    }

    /// Its path.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Page(file) => FILES[file].0,
            _ => ALL.iter().find(|(known, _)| *known == self).map_or("/", |(_, path)| path),
        }
    }

    /// Asking it changes something.
    pub(super) fn orders(self) -> bool {
        matches!(self, Self::Pause | Self::Resume | Self::Throttle | Self::Decide | Self::LogLevel)
    }

    /// Whether it is asked this way.
    pub(super) fn takes(self, method: &Method) -> bool {
        if self.orders() { method == Method::POST } else { method == Method::GET || method == Method::HEAD }
    }

    /// The ways it is asked.
    pub(super) fn methods(self) -> &'static str {
        if self.orders() { "POST" } else { "GET, HEAD" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_one_path_and_nothing_else_is_one() {
        let files = FILES.iter().enumerate().map(|(file, (path, ..))| (Route::Page(file), *path));
        for (route, path) in ALL.into_iter().chain(files) {
            assert_eq!((Route::of(path), route.path()), (Some(route), path));
            assert!(route.takes(&Method::POST) != route.takes(&Method::GET));
        }
        for path in ["", "/metrics/", "//metrics", "/api/v1/Pause", "/app.css?x"] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
