//! An answer that is none: what the server or the connection said, and whether to ask again.

use std::error::Error;
use std::thread;
use std::time::Duration;

use hf_hub::HFError;
use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::{Settings, Step};

/// The longest pause that is granted to a server that asks for one.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Characters of a server's words that are passed on.
const MESSAGE_CHARS: usize = 300;

/// Why a question got no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Where it was asked.
    pub(crate) url: String,
    /// The status of the answer; none where there was no whole answer.
    pub(crate) status: Option<StatusCode>,
    /// The Hub's own name for it: `RepoNotFound`, `GatedRepo`, …
    pub(crate) code: Option<String>,
    /// What was said, or what broke.
    pub(crate) message: String,
    /// The pause that the server asks for.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the same question may be answered later.
    pub(crate) is_passing: bool,
}

impl Failure {
    /// What a refusal says.
    pub(crate) fn refused(response: Response) -> Failure {
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (code, message) = (header("x-error-code"), header("x-error-message"));
        let retry_after = retry_after(response.headers());
        let (url, status) = (response.url().to_string(), response.status());
        let message = message.unwrap_or_else(|| response.text().unwrap_or_default());
        Failure::said_by_server(url, status, code, &message, retry_after)
    }

    fn said_by_server(
        url: String,
        status: StatusCode,
        code: Option<String>,
        message: &str,
        retry_after: Option<Duration>,
    ) -> Failure {
        let message = message.trim().chars().take(MESSAGE_CHARS).collect();
        let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        let is_passing = status.is_server_error() || busy.contains(&status);
        Failure { url, status: Some(status), code, message, retry_after, is_passing }
    }

    /// An answer that makes no sense: asked again, it will not make more.
    pub(crate) fn malformed(url: &str, what: impl Into<String>) -> Failure {
        let (url, message) = (url.to_owned(), what.into());
        Failure { url, status: None, code: None, message, retry_after: None, is_passing: false }
    }

    /// A connection that could not be made, or that ended.
    pub(crate) fn broken(url: &str, error: &dyn Error) -> Failure {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some layers repeat the words of the one below.
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Failure { is_passing: true, ..Failure::malformed(url, message) }
    }

    /// The same of the API's client.
    pub(crate) fn api(url: &str, error: HFError) -> Failure {
        let (context, retry_after) = match error {
            HFError::RateLimited { retry_after, context } => (context, retry_after),
            HFError::Http { context }
            | HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Conflict { context }
            | HFError::RepoNotFound { context: Some(context), .. }
            | HFError::RevisionNotFound { context: Some(context), .. }
            | HFError::EntryNotFound { context: Some(context), .. } => (context, None),
            // A body that ended early and one that is no JSON are both told as decoding.
            HFError::Request { source, .. } if !is_no_json(&source) => {
                return Failure::broken(url, &source.without_url());
            }
            other => return Failure::malformed(url, other.to_string()),
        };
        let message = context.server_message.unwrap_or(context.body);
        let (status, code) = (context.status, context.error_code);
        Failure::said_by_server(url.to_owned(), status, code, &message, retry_after)
    }

    /// One line for people.
    pub(crate) fn said(&self) -> String {
        match (self.status, self.message.as_str()) {
            (None, message) => message.to_owned(),
            (Some(status), "") => status.to_string(),
            (Some(status), message) => format!("{status}: {message}"),
        }
    }
}

fn is_no_json(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<serde_json::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Seconds only; the form with a date gets the ordinary pause.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Counts the tries of one question.
pub(crate) struct Tries<'a> {
    settings: &'a Settings,
    in_vain: u32,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Tries<'a> {
        Tries { settings, in_vain: 0 }
    }

    /// Waits for the next try; an error where there should be none. A try that `brought` something
    /// begins the count anew.
    pub(crate) fn again(
        &mut self,
        failure: Failure,
        brought: bool,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), GaveUp> {
        self.in_vain = if brought { 0 } else { self.in_vain + 1 };
        let doubled =
            self.settings.pause.saturating_mul(1 << self.in_vain.saturating_sub(1).min(16));
        let pause = failure.retry_after.unwrap_or(doubled);
        let is_last = self.in_vain >= self.settings.tries || pause > LONGEST_PAUSE;
        if is_last || !failure.is_passing {
            return Err(GaveUp { failure, tries: self.in_vain.max(1) });
        }
        watch(Step::Pause { why: &failure.said(), pause });
        thread::sleep(pause);
        Ok(())
    }
}

/// A question that will not be asked again.
#[derive(Debug)]
pub(crate) struct GaveUp {
    pub(crate) failure: Failure,
    pub(crate) tries: u32,
}

/// Asks until there is an answer or no more patience.
pub(crate) fn ask<T>(
    settings: &Settings,
    watch: &mut dyn FnMut(Step<'_>),
    question: impl Fn() -> Result<T, Failure>,
) -> Result<T, GaveUp> {
    let mut tries = Tries::new(settings);
    loop {
        match question() {
            Ok(answer) => return Ok(answer),
            Err(failure) => tries.again(failure, false, watch)?,
        }
    }
}
