//! What every sink promises, checked through its contract and an oracle of its own.
//!
//! [`suite`] runs all checks against a [`Rig`]; each check prepares a stream of its own, so one server can carry them all.
//! A check panics with the sentence that turned out false.

mod checks;
mod children;
mod copies;
mod cut;
mod evolution;
mod fixture;
mod memory_rig;
mod postgres_rig;

pub use fixture::{Batch, PARTITIONS, SCHEMA, Stored, StoredBelow, family, mapping};
pub use memory_rig::MemoryRig;
pub use postgres_rig::PostgresRig;

use crate::checkpoints::Checkpoints;
use crate::evolve::Evolves;
use crate::sink::{Ranges, Sink};
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::mapping::StreamMapping;

/// A target under test, and an oracle that reads it without the sink's own code.
pub trait Rig: Send + Sync {
    /// What is tested.
    type Target: Sink + Checkpoints + Ranges + Evolves;

    /// A handle as another process would hold it.
    fn process(&self) -> impl Future<Output = Self::Target> + Send;

    /// Makes the stream's table ready, dropping what stood there from an earlier run.
    fn prepare(&self, stream: &StreamMapping, bulk: BulkLoad) -> impl Future<Output = ()> + Send;

    /// All rows of the stream's table, by key.
    fn rows(&self, stream: &StreamMapping) -> impl Future<Output = Vec<Stored>> + Send;

    /// All rows of one of the stream's tables below, by key.
    fn below(&self, stream: &StreamMapping, table: u16) -> impl Future<Output = Vec<StoredBelow>> + Send;

    /// What stands in a column of text that was added, by key.
    fn texts(&self, stream: &StreamMapping, column: &str) -> impl Future<Output = Vec<Option<String>>> + Send;

    /// Waiting dead letters: key and code.
    fn waiting(&self, stream: &StreamMapping) -> impl Future<Output = Vec<(Vec<u8>, String)>> + Send;

    /// The next commit takes effect, but its answer is lost.
    fn lose_next_answer(&self) -> impl Future<Output = ()> + Send;
}

/// Runs every check.
pub async fn suite<R: Rig>(rig: &R) {
    checks::rows_dead_letters_and_checkpoint_commit_together(rig).await;
    checks::a_wrong_offset_in_one_partition_writes_nothing(rig).await;
    checks::an_owner_that_was_replaced_writes_nothing(rig).await;
    checks::an_older_version_neither_overwrites_nor_deletes(rig).await;
    checks::an_equal_row_is_not_written_again(rig).await;
    checks::a_replay_changes_no_row(rig).await;
    checks::refused_rows_are_named_and_nothing_is_written(rig).await;
    checks::a_retraction_settles_only_what_does_not_block(rig).await;
    checks::an_unknown_commit_is_settled_by_reading(rig).await;
    checks::a_bulk_load_ends_live_and_ends_once(rig).await;
    checks::a_generation_is_bound_to_its_queue(rig).await;
    checks::another_queue_or_mapping_halts(rig).await;
    copies::a_range_moves_with_its_rows_and_once(rig).await;
    copies::a_plan_that_is_there_stands_and_a_replaced_owner_plans_nothing(rig).await;
    copies::a_copy_over_live_rows_leaves_newer_ones_and_sweeps_what_it_has_not_seen(rig).await;
    children::a_newer_set_takes_the_place_of_an_older_one(rig).await;
    children::an_older_set_changes_nothing(rig).await;
    children::a_refused_row_below_names_its_record(rig).await;
    children::a_bulk_load_fills_the_tables_below(rig).await;
    children::a_copy_stamps_and_sweeps_the_tables_below(rig).await;
    evolution::an_added_column_is_remembered_and_filled(rig).await;
    evolution::whoever_was_replaced_adds_nothing(rig).await;
    evolution::whole_numbers_become_wider_once_and_a_table_has_a_bound(rig).await;
    checks::a_second_process_is_told_of_the_first(rig).await;
}
