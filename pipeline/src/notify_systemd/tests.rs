//! A manager of our own hears what is told, by path and by abstract name.

use super::*;
use std::collections::BTreeMap;

/// Longer than any of these waits takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn manager(name: &str, more: &[(&str, &str)]) -> Option<Manager> {
    let mut variables: BTreeMap<&str, &str> = more.iter().copied().collect();
    variables.insert("NOTIFY_SOCKET", name);
    Manager::named(&|variable| variables.get(variable).map(OsString::from))
}

fn ears(address: &SocketAddr) -> UnixDatagram {
    let socket = UnixDatagram::bind_addr(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn hear(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("something is told within the deadline");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

async fn heard(socket: &UnixDatagram) -> String {
    let socket = socket.try_clone().unwrap();
    tokio::task::spawn_blocking(move || hear(&socket)).await.unwrap()
}

fn running() -> Arc<StatusReport> {
    Arc::new(StatusReport { running: true, ..StatusReport::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_comes_with_the_first_report_life_with_each_further_one_and_the_end_at_the_end() {
    let name = format!("landfall-notify-{}", uuid::Uuid::new_v4());
    let socket = ears(&SocketAddr::from_abstract_name(&name).unwrap());
    let manager = manager(&format!("@{name}"), &[("WATCHDOG_USEC", "900000")]).unwrap();
    let (publish, reports) = watch::channel(Arc::new(StatusReport::default()));
    let stop = CancellationToken::new();
    let script = async {
        // Before anything runs nothing is told: the first words are READY.
        publish.send_replace(running());
        assert_eq!(heard(&socket).await, "READY=1");
        publish.send_replace(running());
        let life = heard(&socket).await;
        assert!(life.starts_with("STATUS=") && life.ends_with("\nWATCHDOG=1"), "{life}");
        // No further report, no further sign: what comes next is the end.
        tokio::time::sleep(SHORTEST * 3).await;
        stop.cancel();
        assert_eq!(heard(&socket).await, "STOPPING=1");
    };
    let (told, ()) = tokio::join!(tell(Some(manager), reports, stop.clone()), script);
    assert!(told.is_ok());
}

#[test]
fn a_socket_is_found_by_its_path() {
    let path = std::env::temp_dir().join(format!("landfall-notify-{}", uuid::Uuid::new_v4()));
    let socket = ears(&SocketAddr::from_pathname(&path).unwrap());
    manager(path.to_str().unwrap(), &[]).unwrap().say("READY=1");
    assert_eq!(hear(&socket), "READY=1");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let of = |pid: &str| manager("@anybody", &[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", pid)]).unwrap();
    assert!(!of("1").watched);
    let ours = of(&std::process::id().to_string());
    assert!(ours.watched && ours.every == Duration::from_secs(10));
    assert!(!manager("@anybody", &[]).unwrap().watched);
}

#[test]
fn without_a_socket_or_with_a_strange_one_nobody_is_told() {
    assert!(Manager::named(&|_| None).is_none());
    assert!(manager("somewhere", &[]).is_none());
    assert!(manager("", &[]).is_none());
}

#[tokio::test]
async fn nobody_listens_and_the_service_goes_on() {
    let (_publish, reports) = watch::channel(running());
    assert!(tell(None, reports.clone(), CancellationToken::new()).await.is_ok());
    let gone = manager("@landfall-nobody-is-here", &[]).unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(tell(Some(gone), reports, stop).await.is_ok());
}
