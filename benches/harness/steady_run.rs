//! The steady mix by the release program: the table stands with its rows, the stream is live, PostgreSQL has just made a checkpoint; then the
//! clock runs from the start of the process to its end, so start-up, admission and the last sync are in it.

use crate::cluster::Cluster;
use crate::landfall;
use crate::measured::Measured;
use crate::mix::Mix;
use crate::session::Session;
use crate::site::Site;
use crate::sizes::Sizes;
use crate::users_table::{self, Counted};

/// A mix, and its lines made beforehand.
#[derive(Debug)]
pub struct SteadyRun {
    /// The changes.
    pub mix: Mix,
    lines: Vec<u8>,
    events: u64,
}

impl SteadyRun {
    /// Of these sizes; the rows that stand before are seeded.
    pub fn new(session: &mut Session, sizes: Sizes) -> Self {
        users_table::seed(session, sizes.table_rows);
        let mix = Mix::steady(sizes.table_rows, sizes.events, 1);
        let mut lines = Vec::new();
        mix.write_lines(&mut lines);
        Self { mix, lines, events: sizes.events }
    }

    /// One run of the program on a fresh site of lines.
    pub fn by_landfall(&self, (session, cluster): (&mut Session, &Cluster), site: &Site) -> Measured {
        session.execute("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.users");
        landfall::schema_apply(site);
        users_table::fill(session, "public.users");
        session.execute("REINDEX TABLE public.users; ANALYZE public.users");
        std::fs::write(site.folder().join("lines/users.ndjson"), &self.lines).expect("a bench's own disk has room");
        session.checkpoint();
        let measured = landfall::run_until_caught_up(site, self.events, (&mut *session, cluster.postmaster()));
        assert_eq!(landfall::applied(session), self.events, "checkpoints cover every event");
        self.check(session, "public.users");
        measured
    }

    /// The rows of a table after the mix, counted in PostgreSQL.
    pub fn check(&self, session: &mut Session, table: &str) {
        let expected = Counted { rows: self.mix.rows_after, written: self.mix.written_after };
        assert_eq!(users_table::counted(session, table), expected, "rows counted in PostgreSQL");
    }
}
