//! The baseline of a durable append: `write` and `fdatasync` of the same bytes in the same batches.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// A file that grows by synced batches.
#[derive(Debug)]
pub struct RawLog(File);

impl RawLog {
    /// A new file.
    pub fn create(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path);
        Self(file.expect("a bench's own folder is writable"))
    }

    /// Appends `batch`, durable when it returns.
    pub fn append(&mut self, batch: &[u8]) {
        self.0.write_all(batch).expect("a bench's own disk has room");
        self.0.sync_data().expect("a bench's own disk can be synced");
    }
}

/// How many `fdatasync` of an overwritten 8 KiB page this disk does per second: the figure that all durable rates hang on.
pub fn syncs_per_second(path: &Path) -> f64 {
    use std::os::unix::fs::FileExt;
    let log = RawLog::create(path);
    let page = [7_u8; 8_192];
    log.0.write_all_at(&page, 0).expect("a bench's own disk has room");
    log.0.sync_data().expect("a bench's own disk can be synced");
    let begun = std::time::Instant::now();
    let mut syncs = 0_u32;
    while begun.elapsed().as_millis() < 300 {
        log.0.write_all_at(&page, 0).expect("a bench's own disk has room");
        log.0.sync_data().expect("a bench's own disk can be synced");
        syncs += 1;
    }
    f64::from(syncs) / begun.elapsed().as_secs_f64()
}
