//! `landfall status --watch` on a terminal: it draws on the other screen, fits it, and gives the terminal back.

use landfall_tests::config::Config;
use landfall_tests::run_dir;
use landfall_tests::site::Site;
use serde_json::json;
use std::process::Command;
use std::time::Duration;

/// Runs a command on a terminal of 90 by 12 and presses Ctrl-C after two seconds; what was written to the terminal, and the exit code in its last line.
const TERMINAL: &str = r"
import fcntl, os, pty, struct, sys, termios, time, select
child, terminal = pty.fork()
if child == 0:
    time.sleep(0.3)
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 12, 90, 0, 0))
seen, until, pressed = b'', time.time() + 2, False
while True:
    ready, _, _ = select.select([terminal], [], [], 0.1)
    if ready:
        try:
            more = os.read(terminal, 65536)
        except OSError:
            break
        if not more:
            break
        seen += more
    if not pressed and time.time() > until:
        os.write(terminal, b'\x03')
        pressed = True
    if time.time() > until + 20:
        sys.exit('it did not end')
sys.stdout.buffer.write(seen)
print('\nexit', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

#[test]
fn a_terminal_is_drawn_whole_fits_and_is_given_back() {
    let config = Config::new("watch").lines("log", "log.ndjson").stream("things", "log", json!({ "key": "id" }));
    let site = Site::new(config);
    std::fs::write(site.path("log.ndjson"), "{\"id\":1}\n").unwrap();
    site.apply_schema();
    let service = site.run_and_listen();
    let output = Command::new("python3")
        .args(["-c", TERMINAL])
        .arg(run_dir::program())
        .args(["status", "--watch", "--interval", "200ms"])
        .env("DATABASE_URL", site.login().url())
        .current_dir(site.directory())
        .output()
        .unwrap();
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(seen.trim_end().ends_with("exit 0"), "{seen}\n{}", String::from_utf8_lossy(&output.stderr));
    let (entered, left) = (seen.find("\u{1b}[?1049h"), seen.rfind("\u{1b}[?1049l"));
    assert!(entered.is_some() && entered < left && seen.contains("\u{1b}[?25h"), "{seen:?}");
    let frames: Vec<&str> = seen.split("\u{1b}[H").skip(1).collect();
    assert!(frames.len() >= 4, "it is drawn again and again: {}", frames.len());
    assert!(frames.iter().any(|frame| frame.contains("things") && frame.contains("running for")), "{frames:?}");
    assert!(frames.iter().all(|frame| frame.lines().count() <= 12), "{frames:?}");
    service.terminate();
    let _ = service.finish(Duration::from_secs(30)).expect(0);
}
