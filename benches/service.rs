//! The service as it is operated: what being watched costs, how fast `/metrics` answers, memory while nothing happens, and from the start of the
//! process to ready.
//!
//! `cargo bench -p landfall-benches --bench service -- cost scrapes idle ready` names the parts wanted.

use landfall_benches::caller::{self, Answer, Caller};
use landfall_benches::cluster::{Cluster, free_port};
use landfall_benches::collector::Collector;
use landfall_benches::landfall::{self, Running};
use landfall_benches::measured::Measured;
use landfall_benches::mix::{Change, Mix};
use landfall_benches::report::{self, Target, Title};
use landfall_benches::rounds::{Spread, interleaved};
use landfall_benches::scraper::Scraper;
use landfall_benches::session::Session;
use landfall_benches::sightings::Delays;
use landfall_benches::site::Site;
use landfall_benches::sizes::Sizes;
use landfall_benches::steady_run::SteadyRun;
use landfall_benches::user::User;
use landfall_benches::users_pipeline::{self, Source};
use landfall_benches::{cpu, many_streams, memory, run_dir};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Streams of a large service.
const STREAMS: usize = 100;
/// Scrapes on one connection, and again as many on a connection each.
const SCRAPES: usize = 500;
/// Between two of them: a connection ends after 60 s.
const BREATH: Duration = Duration::from_millis(20);
/// Work that was still under way when everything was there ends within this.
const SETTLE: Duration = Duration::from_secs(5);
/// How long a service that has nothing to do is watched.
const IDLE: Duration = Duration::from_secs(20);
/// What a service may take while nothing happens.
const IDLE_MB: f64 = 40.0;
/// Starts of each kind.
const STARTS: usize = 5;
/// Lines made at once while a large file is written.
const CHUNK: u64 = 10_000;

/// Streams that follow their source.
const LIVE: &str = "SELECT count(*) FROM landfall.streams WHERE phase = 'live' AND owner_nonce IS NOT NULL";

struct Bench {
    cluster: Cluster,
    sizes: Sizes,
}

fn main() {
    let sizes = Sizes::read();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let bench = Bench { cluster: Cluster::start("service"), sizes };
    type Part = fn(&Bench);
    let parts: [(&str, Part); 4] =
        [("cost", Bench::cost), ("scrapes", Bench::scrapes), ("idle", Bench::idle), ("ready", Bench::ready)];
    for (_, run) in parts.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name)) {
        run(&bench);
    }
}

/// Where a service is told to answer.
fn answering(site: Site) -> (Site, SocketAddr) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    (site.also(&format!("http: {{ listen: \"{address}\" }}\n")), address)
}

fn is_ready(address: SocketAddr) -> bool {
    caller::ask(address, "/readyz").is_ok_and(|answer| answer.status == 200)
}

impl Bench {
    /// The same work with every eye on it, and unwatched.
    ///
    /// Two in a hundred are far less than what the rate of one run differs from that of the next. Processors are the limit here, so what the service
    /// takes more of them is what the rate loses; that has the target, and more rounds than elsewhere.
    fn cost(&self) {
        let (mut session, mut other) = (self.cluster.session(), self.cluster.session());
        let steady = SteadyRun::new(&mut session, self.sizes);
        let site = || users_pipeline::write(&run_dir::fresh("service-cost"), &self.cluster.url(), Source::Lines);
        let (collector, mut scrapes) = (Collector::start(), 0);
        let unwatched = || steady.by_landfall((&mut session, &self.cluster), &site());
        let watched = || -> Measured {
            let (site, address) = answering(site().logging(&["--log-format", "json"]));
            let site = site.also(&format!("traces: {{ endpoint: \"{}\" }}\n", collector.endpoint()));
            let (scraper, sent) = (Scraper::start(address), collector.taken());
            let measured = steady.by_landfall((&mut other, &self.cluster), &site);
            let answered = scraper.end();
            assert!(answered > 0 && collector.taken() > sent, "a run is scraped, and tells of its batches");
            scrapes += answered;
            measured
        };
        let runs = interleaved(2 * self.sizes.rounds, unwatched, watched);
        let note = format!(
            "HTTP on, scraped each second ({scrapes} scrapes in all), a span of each batch sent ({} posts), log at info as JSON; baseline: none of it, log of errors",
            collector.taken()
        );
        let title = Title { name: "metrics, traces, log", unit: "events", target: Target::None, note: &note };
        report::comparison(title, &runs);
        let (cost, control) = runs.client_cost();
        let range = |spread: Spread| format!("{:+.1} to {:+.1} %", spread.min * 100.0, spread.max * 100.0);
        let note = format!(
            "more of the service's, scraper and collector included, of all that client and server take: {}; A/A {:+.2} %, {}",
            range(cost),
            control.median * 100.0,
            range(control)
        );
        report::figure("metrics, traces, log: processor time", (cost.median * 100.0, "%"), Target::AtMost(2.0), &note);
    }

    /// A service of so many streams that are live and ready.
    fn service(&self, session: &mut Session, streams: usize) -> (Running, SocketAddr) {
        session.execute("DROP SCHEMA IF EXISTS landfall CASCADE");
        for stream in 0..STREAMS {
            session.execute(&format!("DROP TABLE IF EXISTS public.{}", many_streams::name(stream)));
        }
        let site = many_streams::write(&run_dir::fresh("service-streams"), &self.cluster.url(), streams);
        let (site, address) = answering(site);
        landfall::schema_apply(&site);
        let mut running = Running::start(&site);
        let count = |stream| format!("(SELECT count(*) FROM public.{})", many_streams::name(stream));
        let counts: Vec<String> = (0..streams).map(count).collect();
        let (rows, wanted) = (format!("SELECT {}", counts.join(" + ")), streams * many_streams::RECORDS);
        running.wait_for(|| session.number(LIVE) == streams as i64 && is_ready(address));
        running.wait_for(|| session.number(&rows) == wanted as i64);
        (running, address)
    }

    /// How long an answer with all series takes, from the request's first byte, or the connection, to its last.
    fn scrapes(&self) {
        let mut session = self.cluster.session();
        let (running, address) = self.service(&mut session, STREAMS);
        let count = if self.sizes.quick { SCRAPES / 10 } else { SCRAPES };
        let mut kept = Caller::connect(address).expect("a ready service answers");
        let on_one = scraped(running.pid(), count, || kept.get("/metrics"));
        let on_many = scraped(running.pid(), count, || caller::ask(address, "/metrics"));
        for (name, scraped) in [("one connection", on_one), ("a connection each", on_many)] {
            let Scraped { took, ran, bytes, used } = scraped;
            let note = format!(
                "{STREAMS} streams live, {count} scrapes of {} kB, CPU {:.2} ms each",
                bytes / 1_000,
                used * 1e3
            );
            report::figure(&format!("/metrics p50, {name}"), (took.at(0.5), "ms"), Target::None, &note);
            report::figure(&format!("/metrics p99, {name}"), (took.at(0.99), "ms"), Target::AtMost(5.0), &note);
            let note = "less what both sides waited for a processor: on a noisy machine trust this one";
            report::figure(&format!("/metrics p99, {name}, running"), (ran.at(0.99), "ms"), Target::AtMost(5.0), note);
        }
    }

    /// Memory and processor time while nothing happens but scrapes.
    fn idle(&self) {
        let mut session = self.cluster.session();
        for streams in [1, STREAMS] {
            let (running, address) = self.service(&mut session, streams);
            let scraper = Scraper::start(address);
            std::thread::sleep(SETTLE);
            let (before, began) = (cpu::of_process(running.pid()), Instant::now());
            std::thread::sleep(if self.sizes.quick { IDLE / 10 } else { IDLE });
            let idle = (cpu::of_process(running.pid()) - before) / began.elapsed().as_secs_f64();
            let rss = memory::rss(running.pid()).unwrap_or_default() as f64 / 1e6;
            let peak = memory::peak_rss(running.pid()).unwrap_or_default() as f64 / 1e6;
            assert!(scraper.end() > 0, "it is scraped meanwhile");
            let note = format!("HTTP on, scraped each second, nothing else happens; peak so far {peak:.0} MB");
            let many = if streams == 1 { "1 stream".to_owned() } else { format!("{streams} streams") };
            report::figure(&format!("idle RSS, {many}"), (rss, "MB"), Target::AtMost(IDLE_MB), &note);
            report::figure(
                &format!("idle CPU, {many}"),
                (idle * 100.0, "%"),
                Target::AtMost(1.0),
                "the same, of one core",
            );
        }
    }

    /// From the start of the process to the first 200 of `/readyz`, with everything applied and retained.
    fn ready(&self) {
        let mut session = self.cluster.session();
        session.execute("DROP SCHEMA IF EXISTS landfall CASCADE; DROP TABLE IF EXISTS public.users");
        let site = users_pipeline::write(&run_dir::fresh("service-ready"), &self.cluster.url(), Source::Lines);
        let (site, address) = answering(site);
        landfall::schema_apply(&site);
        // A checkpoint over nothing is none: it stands behind the first event.
        append_lines(&site, 0..1);
        let _ = landfall::run_until_caught_up(&site, 1, (&mut session, self.cluster.postmaster()));
        landfall::tell(&site, &["checkpoint", "create", "here"]);
        append_lines(&site, 1..self.sizes.retained);
        let server = (&mut session, self.cluster.postmaster());
        let _ = landfall::run_until_caught_up(&site, self.sizes.retained, server);
        let rows = session.number("SELECT count(*) FROM public.users").unsigned_abs();
        assert_eq!(rows, self.sizes.retained, "rows counted in PostgreSQL");
        for (name, killed) in [("after a stop", false), ("after a kill", true)] {
            let times = (0..STARTS).map(|_| {
                let begun = Instant::now();
                let mut running = Running::start(&site);
                let seconds = (running.wait_for(|| is_ready(address)) - begun).as_secs_f64();
                assert_eq!(retained(address), self.sizes.retained, "everything is still in the queue");
                if !killed {
                    running.stop();
                }
                seconds
            });
            // The first start of a kind comes after an end of the other.
            let times = Spread::of(times.skip(1));
            let note = format!(
                "{} events applied and kept by a checkpoint; {:.3}–{:.3} s, exec to 200, asked each 5 ms",
                self.sizes.retained, times.min, times.max
            );
            report::figure(&format!("start → ready {name}"), (times.max, "s"), Target::AtMost(1.0), &note);
        }
    }
}

/// What scrapes came to.
struct Scraped {
    /// From the question to the last byte.
    took: Delays,
    /// The same less what service and bench waited for a processor.
    ran: Delays,
    /// Of an answer.
    bytes: usize,
    /// CPU-seconds of the service, for each scrape.
    used: f64,
}

fn scraped(service: u32, count: usize, mut scrape: impl FnMut() -> io::Result<Answer>) -> Scraped {
    let waited = || cpu::waited(service) + cpu::waited(std::process::id());
    let before = cpu::of_process(service);
    let (mut took, mut ran, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..count {
        let (waited_before, asked) = (waited(), Instant::now());
        let answer = scrape().expect("a ready service answers");
        let milliseconds = asked.elapsed().as_secs_f64() * 1e3;
        assert_eq!(answer.status, 200, "metrics");
        bytes = answer.body.len();
        took.push(milliseconds);
        ran.push((milliseconds - (waited() - waited_before) * 1e3).max(0.0));
        std::thread::sleep(BREATH);
    }
    let used = (cpu::of_process(service) - before) / count as f64;
    Scraped { took: Delays::of(took.into_iter()), ran: Delays::of(ran.into_iter()), bytes, used }
}

/// Events in the queue, by the service's own word.
fn retained(address: SocketAddr) -> u64 {
    let answer = caller::ask(address, "/metrics").expect("a ready service answers");
    let text = String::from_utf8(answer.body).expect("metrics are text");
    let value = text.lines().find_map(|line| line.strip_prefix("landfall_queue_events{source=\"store\"} "));
    value.and_then(|value| value.parse().ok()).expect("the queue tells how many events it holds")
}

fn append_lines(site: &Site, users: Range<u64>) {
    let path = site.folder().join("lines/users.ndjson");
    let file = File::options().create(true).append(true).open(path).expect("a bench's own folder is writable");
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut text = Vec::new();
    for first in users.clone().step_by(CHUNK as usize) {
        text.clear();
        let change = |number| Change { user: User::new(number, 0), delete: false, insert: true };
        let changes = (first..users.end.min(first + CHUNK)).map(change).collect();
        Mix { changes, rows_after: 0, written_after: 0 }.write_lines(&mut text);
        out.write_all(&text).expect("a bench's own disk has room");
    }
    out.flush().expect("a bench's own disk has room");
}
