//! A site: a directory with a configuration and stores, a target database, and the commands of the product run there.

use crate::audit;
use crate::config::Config;
use crate::database::{Database, Login};
use crate::landfall::{Finished, Landfall, Launch};
use crate::oracle::{MONGO_VARIABLE, Oracle, Verdict};
use crate::postgres_server::PostgresServer;
use crate::run_dir;
use crate::status::Status;
use crate::wait::{wait_for, wait_until};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A command that does its work and ends takes no longer.
const COMMAND_PATIENCE: Duration = Duration::from_secs(90);
/// A live service brings a small change over within this time, on a busy machine too. Beyond one rescan (30 s).
const LIVE_PATIENCE: Duration = Duration::from_secs(45);

/// A site.
#[derive(Debug)]
pub struct Site {
    directory: PathBuf,
    login: Login,
    config: Config,
    ledgers: Vec<(String, PathBuf)>,
    mongo: Option<Mongo>,
    tampered: AtomicBool,
}

/// How a MongoDB is reached.
#[derive(Debug)]
struct Mongo {
    /// By the product.
    product: String,
    /// By the oracle.
    oracle: String,
}

impl Site {
    /// A new directory and a new database on the shared server.
    pub fn new(config: Config) -> Self {
        let login = PostgresServer::shared().database(config.name());
        Self::on(config, login)
    }

    /// A new directory for a target that is there already.
    pub fn on(config: Config, login: Login) -> Self {
        let directory = run_dir::fresh(config.name());
        let site =
            Self { directory, login, config, ledgers: Vec::new(), mongo: None, tampered: AtomicBool::new(false) };
        site.write_config();
        site
    }

    /// Replaces the configuration.
    pub fn reconfigure(&mut self, config: Config) {
        self.config = config;
        self.write_config();
    }

    /// Reaches the target another way: through a proxy, as another role.
    pub fn reach(&mut self, login: Login) {
        self.login = login;
    }

    /// The test takes something out of Landfall's own tables: nobody asks at the end whether they add up.
    pub fn tampers(&self) {
        self.tampered.store(true, Ordering::Relaxed);
    }

    /// The oracle reads lines of `source` from `ledger`.
    pub fn note_ledger(&mut self, source: &str, ledger: &Path) {
        self.ledgers.push((source.to_owned(), ledger.to_path_buf()));
    }

    /// The MongoDB source of the configuration stands at this URI.
    #[must_use]
    pub fn mongo(mut self, uri: &str) -> Self {
        self.mongo = Some(Mongo { product: uri.to_owned(), oracle: uri.to_owned() });
        self
    }

    /// The product reaches MongoDB another way: through a proxy, as another user, at a fake. The oracle goes on as before.
    pub fn reach_mongo(&mut self, uri: &str) {
        let oracle = self.mongo.take().map_or_else(|| uri.to_owned(), |mongo| mongo.oracle);
        self.mongo = Some(Mongo { product: uri.to_owned(), oracle });
    }

    fn write_config(&self) {
        std::fs::write(self.config_file(), self.config.text()).expect("the configuration can be written");
    }

    /// `landfall.yaml`.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("landfall.yaml")
    }

    /// A path inside the site.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How the product reaches the target.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// A connection of the test's own.
    pub fn database(&self) -> Database {
        Database::connect(&self.login).expect("the target answers")
    }

    /// A command, ready to start.
    pub fn command(&self, words: &[&str]) -> Launch {
        let launch = Launch::new(&self.directory, words).env("DATABASE_URL", &self.login.url());
        match &self.mongo {
            Some(mongo) => launch.env(MONGO_VARIABLE, &mongo.product),
            None => launch,
        }
    }

    /// Runs a command to its end.
    pub fn finish(&self, words: &[&str]) -> Finished {
        self.command(words).finish(COMMAND_PATIENCE)
    }

    /// `schema apply`, which must succeed.
    #[track_caller]
    pub fn apply_schema(&self) {
        let _ = self.finish(&["schema", "apply"]).expect(0);
    }

    /// `schema apply`, and the audit on everything it made.
    #[track_caller]
    pub fn apply_schema_with_audit(&self) {
        self.apply_schema();
        audit::install(&self.login, &self.config.tables());
    }

    /// `run --until-caught-up`, which must succeed.
    #[track_caller]
    pub fn catch_up(&self) -> Finished {
        self.finish(&["run", "--until-caught-up"]).expect(0)
    }

    /// Starts the service.
    pub fn run(&self) -> Landfall {
        self.command(&["run"]).start()
    }

    /// Starts the service and waits until it can be talked to.
    #[track_caller]
    pub fn run_and_listen(&self) -> Landfall {
        let mut service = self.run();
        let socket = self.path("state/control.sock");
        wait_until(COMMAND_PATIENCE, "the service listens", || socket.exists() || !service.is_running());
        assert!(service.is_running(), "{}", service.stderr());
        service
    }

    /// The oracle of this site, reaching the target directly.
    pub fn oracle(&self, direct: &Login) -> Oracle {
        let oracle = Oracle::new(&self.config_file(), direct);
        let oracle = match &self.mongo {
            Some(mongo) => oracle.mongo(&mongo.oracle),
            None => oracle,
        };
        self.ledgers.iter().fold(oracle, |oracle, (source, ledger)| oracle.ledger(source, ledger))
    }

    /// Stores and tables agree now.
    #[track_caller]
    pub fn expect_equal(&self, moment: &str) {
        self.oracle(&self.login).equal().expect(moment);
    }

    /// Checkpoints and audit agree now.
    #[track_caller]
    pub fn expect_witness(&self, moment: &str) {
        self.oracle(&self.login).witness().expect(moment);
    }

    /// A live service brings stores and tables to agree.
    #[track_caller]
    pub fn expect_soon_equal(&self, moment: &str) {
        let verdict = self.soon_equal(LIVE_PATIENCE);
        if verdict.holds {
            return;
        }
        let status = self.status().map_or_else(|| "no status".into(), |status| format!("{status:#?}"));
        verdict.expect(&format!("{moment}, {status}"));
    }

    /// Asks until stores and tables agree or `deadline` is over; the last answer.
    pub fn soon_equal(&self, deadline: Duration) -> Verdict {
        let started = Instant::now();
        loop {
            let verdict = self.oracle(&self.login).equal();
            if verdict.holds || started.elapsed() >= deadline {
                return verdict;
            }
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    /// `status -o json` now.
    pub fn status(&self) -> Option<Status> {
        let finished = self.finish(&["status", "-o", "json"]);
        Status::parse(&finished.stdout)
    }

    /// Waits until a stream's status satisfies `wanted`; panics with the last one seen.
    #[track_caller]
    pub fn expect_stream(
        &self,
        stream: &str,
        what: &str,
        mut wanted: impl FnMut(&crate::status::StreamStatus) -> bool,
    ) -> crate::status::StreamStatus {
        let mut last = None;
        let found = wait_for(LIVE_PATIENCE, || {
            let status = self.status().and_then(|status| status.stream(stream));
            let holds = status.as_ref().is_some_and(&mut wanted);
            last = status;
            holds.then(|| last.clone())?
        });
        found.unwrap_or_else(|| panic!("status of {stream} never became {what}; last: {last:?}"))
    }
}

/// Whatever a test does, nothing of what was captured is lost to the counts: what a partition has passed is what became of it, and the letters
/// that were neither taken up again nor given up are those that are counted (a copy's are counted among its range's). A test that has failed says its own failure.
impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() || self.tampered.load(Ordering::Relaxed) {
            return;
        }
        // A target that is gone, or that a test has put out of reach, cannot be asked.
        let Ok(mut database) = Database::connect(&self.login) else { return };
        let Ok(rows) = database.try_rows(ACCOUNTS) else { return };
        assert!(rows.is_empty(), "what became of all that was captured does not add up: {rows:?}");
    }
}

/// Streams whose counts are off. Fails where nothing was ever applied.
const ACCOUNTS: &str = "\
    select c.pipeline, c.stream, 'partition ' || c.partition from landfall.checkpoints c \
    where c.next_offset <> c.applied + c.superseded + c.filtered + c.dead_lettered + c.discarded \
    union all \
    select c.pipeline, c.stream, 'letters ' || l.told || ' counted ' || c.counted from \
        (select pipeline, stream, sum(dead_lettered) as counted from landfall.checkpoints group by 1, 2) c \
        cross join lateral (select count(*) as told from landfall.dead_letters d join landfall.streams s using (pipeline, stream) \
            join landfall.generations g on g.pipeline = s.pipeline and g.source = s.source and g.queue_id = s.queue_id \
            where d.pipeline = c.pipeline and d.stream = c.stream and (d.state in ('parked', 'behind') or (d.state = 'superseded' and d.act is null)) \
              and d.version >> 48 = g.generation \
              and not exists (select from landfall.ranges r where r.pipeline = d.pipeline and r.stream = d.stream and r.copy = d.version)) l \
    where c.counted <> l.told";
