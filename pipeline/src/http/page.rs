//! The page for people: three files that are part of the program, so that it works without any network but this one.

use super::answer::{Answer, answer};
use super::route::Route;
use hyper::StatusCode;

/// The file of this route.
pub(super) fn of(route: Route) -> Answer {
    let (kind, text) = match route {
        Route::Style => ("text/css; charset=utf-8", include_str!("page/app.css")),
        Route::Script => ("text/javascript; charset=utf-8", include_str!("page/app.js")),
        _ => ("text/html; charset=utf-8", include_str!("page/index.html")),
    };
    answer(StatusCode::OK, kind, text)
}
