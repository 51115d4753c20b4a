//! A swap in the eyes of a service manager: the process lives on, and is not said to stop.

use super::{config, end, expect_equal, expect_followed, expect_listening, next, write_all};
use landfall_tests::postgres_server::PostgresServer;
use landfall_tests::site::Site;
use landfall_tests::wait::wait_until;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Everything that was told so far.
fn told(socket: &UnixDatagram, so_far: &mut String) {
    let mut buffer = [0; 4_096];
    while let Ok(length) = socket.recv(&mut buffer) {
        so_far.push_str(&String::from_utf8_lossy(&buffer[..length]));
        so_far.push('\n');
    }
}

#[test]
fn a_manager_hears_of_one_start_and_one_end_however_often_the_mapping_is_swapped() {
    let mut site =
        Site::on(config("replay_into_manager", false), PostgresServer::shared().database("replay_into_manager"));
    write_all(&site, 0, "first");
    site.apply_schema();
    let path = site.path("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let service = site.command(&["run"]).env("NOTIFY_SOCKET", &path.display().to_string()).start();
    expect_listening(&site);
    let mut heard = String::new();
    wait_until(Duration::from_secs(30), "it is ready", || {
        told(&socket, &mut heard);
        heard.contains("READY=1")
    });
    site.expect_stream("projects", "live", |stream| stream.text().contains("\"phase\":\"live\""));
    site.expect_stream("items", "live", |stream| stream.text().contains("\"phase\":\"live\""));
    next(&site, &config("replay_into_manager", true));
    let _ = site.finish(&["-c", "next.yaml", "replay", "--into", "next"]).expect(0);
    expect_followed(&site, "next");
    let _ = site.finish(&["replay", "swap", "next", "--uncompared"]).expect(0);
    site.reconfigure(config("replay_into_manager", true));
    write_all(&site, 20, "second");
    expect_equal(&site, "after the swap");
    assert!(
        !service.stderr().contains("mapping_changed"),
        "what was exchanged is not called changed: {}",
        service.stderr()
    );
    told(&socket, &mut heard);
    assert!(!heard.contains("STOPPING=1"), "it did not stop: {heard}");
    end(service);
    told(&socket, &mut heard);
    assert_eq!((heard.matches("READY=1").count(), heard.matches("STOPPING=1").count()), (1, 1), "{heard}");
}
