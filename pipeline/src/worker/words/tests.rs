//! Which words wake a halted worker.

use super::*;
use landfall_connectors::failure::FailureClass;
use landfall_connectors::memory::MemoryTarget;
use std::time::Duration;

fn word(subject: &str, accept: bool) -> Word {
    Word { subject: subject.to_owned(), accept, actor: "ada".to_owned() }
}

async fn heard(words: &mut Words) -> Option<Word> {
    let name = StreamName::new("users").expect("a name");
    let failure = Failure::new(FailureClass::Halt, "queue_changed", "");
    let target = MemoryTarget::default();
    tokio::time::timeout(Duration::from_millis(200), words.accepted(&target, (&name, &failure))).await.ok()
}

#[tokio::test]
async fn only_an_acceptance_of_this_state_wakes_a_halted_worker() {
    let (speaker, mut words) = words();
    speaker.say(word("file_shrank", true));
    speaker.say(word("queue_changed", false));
    assert_eq!(heard(&mut words).await, None);
    speaker.say(word("queue_changed", true));
    assert_eq!(heard(&mut words).await, Some(word("queue_changed", true)));
    assert_eq!(heard(&mut words).await, None, "a word is good once");
}

#[tokio::test]
async fn what_was_said_before_a_halt_is_no_word_on_it() {
    let (speaker, mut words) = words();
    speaker.say(word("queue_changed", true));
    words.forget();
    assert_eq!(heard(&mut words).await, None);
}
