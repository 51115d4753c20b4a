//! The Helm chart: one owner with its volume, nothing more than it needs, and values that are checked.
//!
//! With helm at hand the chart is linted and rendered, and what comes out is looked at. Without it (no Go on this machine to build it with) only
//! its own files are looked at, and the tests print that nothing was rendered. It was never installed into a cluster by a test.

use crate::files::{assert_configuration, found, none, parsed, place, run, text, yaml};
use serde_json::Value;
use std::path::PathBuf;

/// The version that the rendered objects must be good for.
const KUBERNETES: &str = "1.29.0";
/// What a switched-on chart has besides.
const EVERYTHING: &str = "serviceMonitor.enabled=true,networkPolicy.enabled=true,store.persistentVolumeClaim.claimName=product,\
                          http.tls.existingSecret=tls,http.token.existingSecret=token,state.storageClass=fast";

fn helm() -> Option<PathBuf> {
    let helm = found("helm");
    if helm.is_none() {
        // Seen with --nocapture, and in the log of a failed run.
        std::io::Write::write_all(&mut std::io::stderr(), b"not rendered: no helm here (deploy/setup/deployment.sh)\n")
            .expect("stderr can be written");
    }
    helm
}

fn rendered(helm: &std::path::Path, set: &str) -> Vec<Value> {
    let mut arguments = vec!["template", "shop", ".", "--namespace", "data", "--kube-version", KUBERNETES];
    if !set.is_empty() {
        arguments.extend(["--set", set]);
    }
    let said = run(helm, &arguments, &place("helm/landfall"));
    said.split("\n---\n").filter(|part| part.contains("kind:")).map(|part| parsed(part, "a rendered object")).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn it_is_a_chart_whose_values_are_all_described() {
    let chart = yaml("helm/landfall/Chart.yaml");
    assert_eq!((chart["apiVersion"].as_str(), chart["name"].as_str()), (Some("v2"), Some("landfall")));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"), "it runs the version it comes with");
    let schema: Value = serde_json::from_str(&text("helm/landfall/values.schema.json")).expect("the schema is JSON");
    let values = yaml("helm/landfall/values.yaml");
    let described = schema["properties"].as_object().expect("the schema describes values");
    let unknown =
        values.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| !described.contains_key(*name));
    none("values.schema.json knows every value", &unknown.cloned().collect::<Vec<_>>());
    assert_eq!(schema["additionalProperties"], false, "a misspelt value is refused");
}

#[test]
fn braces_of_its_templates_are_in_pairs() {
    for entry in std::fs::read_dir(place("helm/landfall/templates")).expect("the chart has templates").flatten() {
        let (name, text) = (entry.path(), std::fs::read_to_string(entry.path()).expect("a template is text"));
        assert_eq!(text.matches("{{").count(), text.matches("}}").count(), "{}", name.display());
    }
}

#[test]
fn it_lints_and_renders_as_it_comes_and_with_everything_switched_on() {
    let Some(helm) = helm() else { return };
    run(&helm, &["lint", "--strict", "."], &place("helm/landfall"));
    let plain = rendered(&helm, "");
    assert_eq!(of_kind(&plain, "Secret").len(), 2, "token and certificate are made where none is named");
    assert!(of_kind(&plain, "ServiceMonitor").is_empty() && of_kind(&plain, "NetworkPolicy").is_empty());
    let all = rendered(&helm, EVERYTHING);
    assert!(of_kind(&all, "Secret").is_empty(), "and none where they are");
    for kind in ["ServiceMonitor", "NetworkPolicy", "StatefulSet", "Service", "ConfigMap", "ServiceAccount"] {
        assert_eq!(of_kind(&all, kind).len(), 1, "{kind}");
    }
}

#[test]
fn it_is_one_owner_with_a_volume_that_stays_and_probes_that_ask_the_right_questions() {
    let Some(helm) = helm() else { return };
    for set in ["", EVERYTHING] {
        let objects = rendered(&helm, set);
        let stateful = &of_kind(&objects, "StatefulSet")[0]["spec"];
        assert_eq!(stateful["replicas"], 1, "one owner");
        assert_eq!(stateful["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Retain");
        assert_eq!(stateful["volumeClaimTemplates"][0]["metadata"]["name"], "state");
        let container = &stateful["template"]["spec"]["containers"][0];
        let asks = |probe: &str| container[probe]["httpGet"]["path"].clone();
        assert_eq!((asks("livenessProbe"), asks("startupProbe")), ("/healthz".into(), "/healthz".into()));
        assert_eq!(asks("readinessProbe"), "/readyz");
    }
}

#[test]
fn its_pod_is_restricted() {
    let Some(helm) = helm() else { return };
    let objects = rendered(&helm, "");
    let pod = &of_kind(&objects, "StatefulSet")[0]["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"], false);
    let containers =
        ["containers", "initContainers"].into_iter().flat_map(|kind| pod[kind].as_array().into_iter().flatten());
    let mut seen = 0;
    for container in containers {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{}", container["name"]);
        assert_eq!(context["readOnlyRootFilesystem"], true, "{}", container["name"]);
        assert_eq!(context["capabilities"]["drop"][0], "ALL", "{}", container["name"]);
        seen += 1;
    }
    assert_eq!(seen, 2, "schema and landfall");
}

#[test]
fn wrong_values_are_refused() {
    let Some(helm) = helm() else { return };
    for wrong in [
        "image.tag=latest",
        "config.target.url=postgres://u:p@h/d",
        "replicas=2",
        "state.size=lots",
        "secrets.existingSecret=",
    ] {
        let arguments = ["template", "shop", ".", "--kube-version", KUBERNETES, "--set", wrong];
        let output =
            std::process::Command::new(&helm).args(arguments).current_dir(place("helm/landfall")).output().unwrap();
        assert!(!output.status.success(), "{wrong} was taken");
    }
}

#[test]
fn the_product_takes_the_configuration_that_it_mounts() {
    let Some(helm) = helm() else { return };
    let objects = rendered(&helm, "");
    let config =
        of_kind(&objects, "ConfigMap")[0]["data"]["landfall.yaml"].as_str().expect("a configuration").to_owned();
    let config = config.replace("/var/lib/landfall/state", "./state");
    assert_configuration(&config, "/run/secrets/landfall/", "helm-config");
}
