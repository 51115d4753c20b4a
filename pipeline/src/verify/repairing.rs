//! What differs, captured again: the keys go to the service, and the records are taken up as if they had just been suspected.

use super::comparison::{Comparison, Open};
use super::fingerprint::KeptKey;
use super::repair::{self, Repair};
use super::report::RepairReport;
use landfall_connectors::failure::Failure;

impl Comparison<'_> {
    /// Has what differs captured again; whether there is anything to look at then.
    pub(super) async fn repair(&self, open: &mut [Open]) -> Result<bool, Failure> {
        let mut asked = false;
        for open in open.iter_mut().filter(|_| self.repair != Repair::No) {
            let nameable = |(key, of_source): (&KeptKey, &[u8])| match of_source {
                [] => repair::encoded(&open.stream, key),
                encoded => Some(encoded.to_vec()),
            };
            let keys: Vec<Option<Vec<u8>>> = open.cases.confirmed().map(nameable).collect();
            let all = keys.len() as u64;
            let keys: Vec<Vec<u8>> = keys.into_iter().flatten().collect();
            let count = keys.len() as u64;
            let dry_run = self.repair == Repair::DryRun;
            open.repair = Some(RepairReport { asked: count, repaired: 0, not_nameable: all - count, dry_run });
            if dry_run || keys.is_empty() {
                continue;
            }
            repair::put(&self.follower.state_dir, open.stream.name.as_str(), &keys)?;
            match self.follower.repair(open.stream.name.as_str()).await {
                Ok(_) => {
                    let _ = open.cases.reopen();
                    asked = true;
                }
                Err(trouble) => open.reasons.push(trouble),
            }
        }
        Ok(asked)
    }
}

impl Open {
    /// What is left of those that were captured again.
    pub(super) fn repaired(&mut self, asked: u64) {
        let left = self.cases.confirmed().count() as u64 + self.cases.open().count() as u64;
        if let Some(repair) = &mut self.repair {
            repair.repaired = (asked + repair.not_nameable).saturating_sub(left);
        }
    }
}
