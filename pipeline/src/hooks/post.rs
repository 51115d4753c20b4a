//! A hook that is an address: the event is the body of a POST.
//!
//! An answer that may be another one later (no connection, 408, 429, 5xx) is asked for again a few times; anything else but 2xx is given up at once.
//! How it is asked is [`outbound`]'s.

use super::event::Event;
use crate::config::Post;
use crate::outbound::{self, Vain, answered};
use crate::status::Trouble;
use bytes::Bytes;
use hyper::StatusCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Before the second, third … try: a receiver that is started anew is back by the last one.
const WAITS: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];

/// Posts an event, a few times if need be. While the service stops nothing is tried again.
pub(super) async fn post(
    hook: &Post,
    event: &Event,
    timeout: Duration,
    stop: &CancellationToken,
) -> Result<(), Trouble> {
    let body = Bytes::from(event.json());
    let mut waits = WAITS.iter();
    for tries in 1.. {
        let Err(vain) = attempt(hook, body.clone(), timeout).await else { return Ok(()) };
        let wait = waits.next().filter(|_| vain.passing && !stop.is_cancelled());
        let Some(wait) = wait else { return Err(given_up(&vain.why, tries)) };
        tracing::debug!(tries, "a hook's receiver: {}; it is tried again", vain.why);
        tokio::select! {
            () = tokio::time::sleep(*wait) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

fn given_up(why: &str, tries: u32) -> Trouble {
    let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
    Trouble { code: "hook_failed".to_owned(), detail: format!("the receiver: {why}; given up, tried {times}") }
}

async fn attempt(hook: &Post, body: Bytes, timeout: Duration) -> Result<(), Vain> {
    match outbound::post(hook, body, timeout).await? {
        status if status.is_success() => Ok(()),
        status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => Err(Vain::passing(answered(status))),
        status if status.is_server_error() => Err(Vain::passing(answered(status))),
        status => Err(Vain::lasting(answered(status))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;
    use crate::config::Secret;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers every request with the next of these; what was asked.
    async fn receiver(listener: &TcpListener, answers: &[&str]) -> Vec<String> {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut text = String::new();
            while !text.ends_with("}\n") {
                let mut piece = [0; 1_024];
                let read = stream.read(&mut piece).await.expect("a request");
                assert!(read > 0, "{text}");
                text.push_str(std::str::from_utf8(&piece[..read]).expect("text"));
            }
            stream.write_all(answer.as_bytes()).await.expect("it listens");
            asked.push(text);
        }
        asked
    }

    async fn posted(answers: &[&str]) -> (Result<(), Trouble>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://localhost:{}/x?y=canary-path", listener.local_addr().expect("an address").port());
        let hook = Post { url: Secret::new(url), token: Some(Secret::new("canary-token".to_owned())) };
        let stop = CancellationToken::new();
        let told = event("halted", "users", "mapping_changed");
        let (ended, asked) = tokio::join!(
            Box::pin(post(&hook, &told, Duration::from_secs(10), &stop)),
            Box::pin(receiver(&listener, answers))
        );
        (ended, asked)
    }

    const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

    #[tokio::test]
    async fn it_is_one_request_with_the_event_and_the_token() {
        let (ended, asked) = posted(&[OK]).await;
        assert_eq!(ended, Ok(()));
        assert!(asked[0].starts_with("POST /x?y=canary-path HTTP/1.1\r\n"), "{asked:?}");
        assert!(asked[0].contains("authorization: Bearer canary-token\r\n"), "{asked:?}");
        assert!(asked[0].contains("\"code\":\"mapping_changed\""), "{asked:?}");
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_what_does_not_is_given_up() {
        let busy = "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        let (ended, asked) = posted(&[busy, "", OK]).await;
        assert_eq!((ended, asked.len()), (Ok(()), 3), "an answer of 500, then none, then a good one");
        let (ended, _) =
            posted(&["HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"]).await;
        let trouble = ended.expect_err("a redirect is not followed");
        assert_eq!(trouble.detail, "the receiver: answered 302; given up, tried once");
    }

    #[tokio::test]
    async fn nothing_is_posted_in_clear_text_beyond_this_machine() {
        let hook = Post { url: Secret::new("http://192.0.2.1:9/".to_owned()), token: None };
        let stop = CancellationToken::new();
        let ended = post(&hook, &event("held", "a", "held"), Duration::from_secs(5), &stop).await;
        let trouble = ended.expect_err("it is refused");
        assert!(trouble.detail.contains("no address that may be posted to"), "{trouble:?}");
    }

    #[tokio::test]
    async fn a_receiver_that_is_not_there_is_given_up_at_once_when_the_service_stops() {
        let hook = Post { url: Secret::new("https://127.0.0.1:1/canary-path".to_owned()), token: None };
        let stop = CancellationToken::new();
        stop.cancel();
        let ended = post(&hook, &event("held", "a", "held"), Duration::from_secs(5), &stop).await;
        let trouble = ended.expect_err("nobody is there");
        assert_eq!(trouble.code, "hook_failed");
        assert!(trouble.detail.contains("cannot be reached") && !trouble.detail.contains("canary"), "{trouble:?}");
    }
}
