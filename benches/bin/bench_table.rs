//! Prints what the benches reported, as one table; with `--clear` forgets it, for a new run.

use landfall_benches::report;

fn main() {
    if std::env::args().any(|argument| argument == "--clear") {
        report::clear();
    } else {
        report::print(&report::table());
    }
}
