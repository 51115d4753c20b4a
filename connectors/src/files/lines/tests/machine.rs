//! A seeded machine that does to a log what writers, logrotate and operators do, against a plain list of what was
//! written: every line once, in order, across restarts at any durable point.

use super::*;

const LOG: &str = "app.log";

/// Numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// What befalls the log while it is looked at.
enum Interruption {
    Nothing,
    Append(String),
    /// All of a rotation by copying, and lines after it.
    CopyTruncate(String),
    /// The end of one whose copy was there before.
    Truncate(String),
    Rename(String),
}

impl Interruption {
    fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Append(_) => "append",
            Self::CopyTruncate(_) => "copytruncate",
            Self::Truncate(_) => "truncate",
            Self::Rename(_) => "rename",
        }
    }

    fn strike(&self, bench: &Bench) {
        let text = match self {
            Self::Nothing => return,
            Self::Append(text) | Self::CopyTruncate(text) | Self::Truncate(text) | Self::Rename(text) => text,
        };
        if bench.exists(LOG) {
            match self {
                Self::CopyTruncate(_) => {
                    shift(bench);
                    bench.copy_truncate(LOG, &format!("{LOG}.1"));
                }
                Self::Truncate(_) => bench.truncate(LOG),
                Self::Rename(_) => {
                    shift(bench);
                    bench.rename(LOG, &format!("{LOG}.1"));
                }
                Self::Nothing | Self::Append(_) => {}
            }
        }
        bench.append(LOG, text);
    }
}

/// Moves the chain up by one: 1 becomes 2, and so on, all kept.
fn shift(bench: &Bench) {
    for n in (1..40).rev() {
        for end in ["", ".gz"] {
            if bench.exists(&format!("{LOG}.{n}{end}")) {
                bench.rename(&format!("{LOG}.{n}{end}"), &format!("{LOG}.{}{end}", n + 1));
            }
        }
    }
}

/// The log's writer and all that befalls the log.
struct World {
    bench: Bench,
    dice: Dice,
    /// What was written and can still be read, in order.
    written: Vec<String>,
    /// A line begun and not ended.
    begun: Option<(String, usize)>,
    next: u32,
    running: bool,
    trace: Vec<String>,
}

impl World {
    fn new(seed: u64, parent: &Path, glob: &str) -> Self {
        let bench = Bench::under(parent, &format!("machine-{}-{seed}", glob.len()), glob);
        let mut world = Self {
            bench,
            dice: Dice(seed),
            written: Vec::new(),
            begun: None,
            next: 0,
            running: true,
            trace: Vec::new(),
        };
        // What was rotated away before the first look is not the source's: it begins with a file it has seen.
        world.append();
        world.settle();
        world
    }

    fn note(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    fn new_line(&mut self) -> String {
        self.next += 1;
        let filler = self.dice.roll(60) as usize * self.dice.roll(30) as usize;
        format!("{{\"id\":{},\"f\":\"{}\"}}", self.next, "f".repeat(filler))
    }

    fn append(&mut self) {
        self.finish_line();
        let text = self.new_lines();
        self.note(format!("append to {}", self.next));
        self.bench.append(LOG, &text);
    }

    /// Lines that count as written from now on.
    fn new_lines(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.dice.roll(5) {
            let line = self.new_line();
            text += &line;
            text += if self.dice.roll(8) == 0 { "\r\n" } else { "\n" };
            self.written.push(line);
        }
        text
    }

    fn begin_line(&mut self) {
        self.finish_line();
        let line = self.new_line();
        let cut = 1 + self.dice.roll(line.len() as u64 - 1) as usize;
        self.note(format!("begin {}", self.next));
        self.bench.append(LOG, &line[..cut]);
        self.begun = Some((line, cut));
    }

    fn finish_line(&mut self) {
        if let Some((line, cut)) = self.begun.take() {
            self.note("finish");
            self.bench.append(LOG, &format!("{}\n", &line[cut..]));
            self.written.push(line);
        }
    }

    fn exists(&self) -> bool {
        self.bench.exists(LOG)
    }

    fn rotate(&mut self) {
        if !self.exists() {
            return;
        }
        self.finish_line();
        self.note("rotate");
        shift(&self.bench);
        self.bench.rename(LOG, &format!("{LOG}.1"));
        if self.dice.roll(3) > 0 {
            self.append();
        }
    }

    fn copy_truncate(&mut self) {
        if !self.exists() {
            return;
        }
        self.finish_line();
        self.note("copytruncate");
        shift(&self.bench);
        self.bench.copy_truncate(LOG, &format!("{LOG}.1"));
    }

    fn interruption(&mut self) -> Interruption {
        match self.dice.roll(4) {
            0 => Interruption::Nothing,
            1 => Interruption::Append(self.new_lines()),
            2 => Interruption::CopyTruncate(self.new_lines()),
            _ => Interruption::Rename(self.new_lines()),
        }
    }

    /// A step into which the writer and rotation break at the worst of times.
    fn race(&mut self) {
        self.finish_line();
        self.start();
        let halfway = self.exists() && self.dice.roll(2) == 0;
        let listed = if halfway {
            shift(&self.bench);
            fs::copy(self.bench.dir.join(LOG), self.bench.dir.join(format!("{LOG}.1"))).unwrap();
            Interruption::Truncate(self.new_lines())
        } else {
            self.interruption()
        };
        let concluded = self.interruption();
        self.note(format!("race {} {} to {}", listed.name(), concluded.name(), self.next));
        self.bench.raced_step(|bench| listed.strike(bench), |bench| concluded.strike(bench));
    }

    fn compress(&mut self) {
        let n = 1 + self.dice.roll(3);
        let name = format!("{LOG}.{n}");
        if self.bench.dir.join(&name).exists() {
            self.note(format!("gzip {n}"));
            self.bench.gzip(&name);
        }
    }

    /// Deletes and writes anew. Nothing may be unread while nobody holds the file.
    fn recreate(&mut self) {
        if !self.exists() || !self.running {
            return;
        }
        self.finish_line();
        self.catch_up();
        if self.dice.roll(2) == 0 {
            self.append();
        }
        self.note("recreate");
        fs::remove_file(self.bench.dir.join(LOG)).unwrap();
        self.append();
        // Only an open descriptor leads to the rest: it is read before the next stop.
        self.settle();
    }

    /// Cuts or rewrites in place: never silent.
    fn damage(&mut self) {
        if !self.exists() {
            return;
        }
        self.finish_line();
        self.start();
        self.catch_up();
        self.settle();
        let path = self.bench.dir.join(LOG);
        let size = fs::metadata(&path).unwrap().len();
        if size == 0 {
            return;
        }
        self.note("damage");
        let line = self.new_line();
        let mut text = format!("{line}\n");
        if self.dice.roll(2) == 0 && (text.len() as u64) < size {
            // Of the same size: blank lines are no records.
            text.extend(std::iter::repeat_n('\n', size as usize - text.len()));
        }
        fs::write(&path, &text).unwrap();
        if self.dice.roll(2) == 0 {
            self.stop();
            self.start();
        }
        assert_eq!(self.settle(), Step::Blocked, "a file that was cut is noticed");
        assert!(matches!(self.bench.condition(), Condition::Halted(failure) if failure.code == FILE_SHRANK));
        assert!(self.bench.accept());
        self.written.push(line);
        self.settle();
    }

    fn stop(&mut self) {
        if self.running {
            self.note("stop");
            self.bench.stop();
            self.running = false;
        }
    }

    fn start(&mut self) {
        if !self.running {
            self.note("start");
            self.bench.reopen();
            self.running = true;
        }
    }

    fn read_some(&mut self) {
        if self.running {
            let times = self.dice.roll(3);
            self.note(format!("read {times}"));
            for _ in 0..=times {
                if self.bench.step() != Step::More {
                    self.bench.source().wait();
                }
            }
        }
    }

    fn catch_up(&mut self) {
        self.start();
        self.note("catch up");
        self.bench.drain();
        self.bench.drain();
    }

    fn settle(&mut self) -> Step {
        self.start();
        self.note("settle");
        self.bench.settle()
    }

    fn act(&mut self) {
        match self.dice.roll(20) {
            0..=5 => self.append(),
            6 => self.begin_line(),
            7 => self.finish_line(),
            8..=9 => self.rotate(),
            10 => self.copy_truncate(),
            11 => self.compress(),
            12 => self.recreate(),
            13 => self.damage(),
            14 => self.stop(),
            15 => self.start(),
            16 | 17 => self.race(),
            _ => self.read_some(),
        }
    }

    fn check(&mut self) {
        self.finish_line();
        self.start();
        let last = self.settle();
        assert_eq!(last, Step::CaughtUp, "{:?}", self.bench.condition());
        self.bench.expect_retraced();
        let same = self.bench.seen.iter().zip(&self.written).take_while(|(seen, written)| seen == written).count();
        let rest = |lines: &[String]| {
            lines[same..].iter().take(8).map(|line| line.chars().take(12).collect()).collect::<Vec<String>>()
        };
        let (seen, written) = (rest(&self.bench.seen), rest(&self.written));
        assert!(seen.is_empty() && written.is_empty(), "after {same} lines: saw {seen:?}, written {written:?}");
    }
}

fn run(seed: u64, parent: &Path, glob: &str) {
    let mut world = World::new(seed, parent, glob);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..60 {
            world.act();
            if world.dice.roll(12) == 0 {
                world.check();
            }
        }
        world.check();
    }));
    if let Err(panic) = outcome {
        let trace = world.trace.join(", ");
        std::panic::resume_unwind(Box::new(format!("seed {seed}, glob {glob}: {trace}: {}", message(&*panic))));
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// `LANDFALL_SEEDS=from..until` runs others.
fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("LANDFALL_SEEDS").ok();
    let range = asked
        .as_deref()
        .and_then(|text| text.split_once(".."))
        .map(|(from, until)| from.parse().unwrap()..until.parse().unwrap());
    range.unwrap_or(0..40)
}

fn run_all(parent: &Path, glob: &str) {
    for seed in seeds() {
        let parent = parent.to_owned();
        let glob = glob.to_owned();
        if let Err(panic) = std::thread::spawn(move || run(seed, &parent, &glob)).join() {
            panic!("{}", message(&*panic));
        }
    }
}

#[test]
fn every_line_is_handed_out_once_and_in_order() {
    run_all(&std::env::temp_dir(), LOG);
}

#[test]
fn so_it_is_where_the_glob_means_rotated_files_as_well() {
    run_all(&std::env::temp_dir(), "app.log*");
}

#[test]
fn so_it_is_where_inodes_are_reused_at_once() {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        run_all(memory, LOG);
    }
}
