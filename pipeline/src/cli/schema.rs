//! `landfall schema plan|apply|contract`: the DDL of the target.

mod constraints;
mod contract;

use super::Outcome;
use super::args::SchemaCommand;
use super::console::Console;
use super::envelope::Finished;
use super::exit::Exit;
use super::failure::CliFailure;
use super::settings::Settings;
use crate::config::Pipeline;
use landfall_connectors::postgres::{MappingChange, PostgresTarget, WantedStream};
use landfall_schemas::ddl::{BulkLoad, Plan, StepKind};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) async fn schema(command: SchemaCommand, settings: &Settings, console: &Console) -> Outcome {
    let pipeline = super::status::with_found_streams(&settings.pipeline_with_warnings(console)?).await?;
    let target = target(&pipeline)?;
    let wanted = wanted(&pipeline);
    match command {
        SchemaCommand::Plan { constraints: true } => constraints::planned(&target, &pipeline).await,
        SchemaCommand::Plan { .. } => Ok(planned(&target.schema_plan(&wanted).await?)),
        SchemaCommand::Contract { yes, actor } => {
            contract::contract(&target, &wanted, (yes, &settings.actor(actor.actor))).await
        }
        SchemaCommand::Apply { constraints: true, actor, .. } => {
            constraints::apply(&target, &pipeline, &settings.actor(actor.actor)).await
        }
        SchemaCommand::Apply { accept_mapping_change, actor, .. } => {
            let change = if accept_mapping_change { MappingChange::Accept } else { MappingChange::Refuse };
            let actor = settings.actor(actor.actor);
            let plan = Box::pin(target.schema_apply(&wanted, change, &actor)).await.map_err(explained)?;
            Ok(applied(&plan))
        }
    }
}

/// The target of a pipeline; connects to nothing yet.
pub(super) fn target(pipeline: &Pipeline) -> Result<PostgresTarget, CliFailure> {
    Ok(PostgresTarget::new(&pipeline.target.connection(), &pipeline.name)?)
}

/// What the streams want of the target.
pub(super) fn wanted(pipeline: &Pipeline) -> Vec<WantedStream<'_>> {
    let bulk = |stream| pipeline.source_of(stream).map_or(BulkLoad::None, |source| source.kind.bulk());
    pipeline.streams.iter().map(|mapping| WantedStream { mapping, bulk: bulk(mapping) }).collect()
}

fn explained(failure: landfall_connectors::failure::Failure) -> CliFailure {
    let suggestion = match failure.code {
        "mapping_changed" => Some("landfall schema apply --accept-mapping-change"),
        "schema_refused" => Some("landfall schema plan shows each table; nothing was changed"),
        _ => None,
    };
    let failed = CliFailure::from(failure);
    match suggestion {
        Some(suggestion) => failed.suggest(suggestion),
        None => failed,
    }
}

/// A plan as JSON.
pub(super) fn result(plan: &Plan) -> Value {
    let steps = plan.steps.iter().map(|step| json!({ "object": step.object, "does": step.word(), "sql": step.sql }));
    let refusals =
        plan.refusals.iter().map(|refusal| json!({ "table": refusal.table, "reason": refusal.reason.to_string() }));
    json!({ "steps": steps.collect::<Vec<_>>(), "refusals": refusals.collect::<Vec<_>>() })
}

fn planned(plan: &Plan) -> Finished {
    let mut text = String::new();
    for step in &plan.steps {
        let sql = step.sql.trim_end().trim_end_matches(';');
        let _ = writeln!(text, "-- {}\n{sql};\n", step.object);
    }
    let mut summary = match plan.steps.len() {
        0 => "the target has all that the streams need".to_owned(),
        1 => "1 statement to run: landfall schema apply".to_owned(),
        count => format!("{count} statements to run: landfall schema apply"),
    };
    if !plan.refusals.is_empty() {
        summary = "something stands in the way; nothing can be applied before it is mended".to_owned();
        for refusal in &plan.refusals {
            let _ = write!(summary, "\n  {refusal}");
        }
    }
    let exit = if plan.refusals.is_empty() { Exit::Done } else { Exit::NeedsDecision };
    Finished { exit, summary, text, result: result(plan) }
}

fn applied(plan: &Plan) -> Finished {
    let steps = plan.steps.iter();
    let text: String = steps.map(|step| format!("{:<13}  {}\n", step.word(), step.object)).collect();
    let beside = plan.steps.iter().filter(|step| step.kind == StepKind::BuildIndex).count();
    let summary = match (plan.steps.len(), beside) {
        (0, _) => "the target had all that the streams need".to_owned(),
        (1, _) => "1 statement was run".to_owned(),
        (count, 0) => format!("{count} statements were run, in one transaction"),
        (count, _) => format!(
            "{count} statements were run: indexes by themselves beside the writers, the others in one transaction"
        ),
    };
    Finished { exit: Exit::Done, summary, text, result: result(plan) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_schemas::ddl::Step;

    #[test]
    fn an_object_with_two_steps_is_named_with_what_each_of_them_does() {
        let step = |kind, sql: &str| Step { kind, object: "public.users".to_owned(), sql: sql.to_owned() };
        let steps = vec![
            step(StepKind::CreateTable, "CREATE TABLE …"),
            step(StepKind::AddKey, "ALTER TABLE …"),
            step(StepKind::BuildIndex, "DROP INDEX …"),
            step(StepKind::BuildIndex, "CREATE INDEX …"),
        ];
        let text = applied(&Plan { steps, refusals: Vec::new() }).text;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["create table   public.users", "add key        public.users"]);
        assert_eq!(lines[2..], ["drop index     public.users", "build index    public.users"]);
    }
}
