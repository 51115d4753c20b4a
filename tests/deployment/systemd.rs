//! The unit: valid, hardened, and with the product's exit codes.

use crate::files::{assert_configuration, folder, needed, none, run, text};

/// Tenths of systemd's own scale from 0 (nothing is open) to 100. The network and the host's root are needed.
const EXPOSURE: &str = "15";

#[test]
fn the_unit_is_valid_and_exposes_little() {
    let analyze = needed("systemd-analyze");
    let at = folder("systemd");
    // The program is not installed on a machine that tests; anything that can be run stands in for it.
    let unit = text("systemd/landfall.service").replace("/usr/local/bin/landfall ", "/bin/true ");
    let name = "landfall.service";
    std::fs::write(at.join(name), unit).expect("a copy can be written");
    let said = run(&analyze, &["verify", "--man=no", "./landfall.service"], &at);
    // What it does not understand it only mentions; other units of this machine are not ours to judge.
    let complaints: Vec<String> = said.lines().filter(|line| line.contains(name)).map(str::to_owned).collect();
    none("systemd understands every line", &complaints);
    let threshold = format!("--threshold={EXPOSURE}");
    run(&analyze, &["security", "--offline=true", &threshold, "--no-pager", &format!("./{name}")], &at);
}

#[test]
fn it_is_not_started_again_where_that_changes_nothing() {
    let unit = text("systemd/landfall.service");
    // 2 usage or configuration, 4 needs a decision, 5 another owner, 130 a second signal.
    for line in [
        "Restart=on-failure",
        "RestartPreventExitStatus=2 4 5",
        "SuccessExitStatus=130",
        "Type=notify",
        "ProtectSystem=strict",
    ] {
        assert!(unit.lines().any(|found| found == line), "the unit says {line}");
    }
}

#[test]
fn the_product_takes_its_configuration() {
    let text = text("systemd/landfall.yaml");
    assert!(!text.contains("postgres://"), "secrets are files");
    assert_configuration(&text, "/run/credentials/landfall.service/", "systemd-config");
}
