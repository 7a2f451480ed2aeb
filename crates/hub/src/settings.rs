//! Where the Hub is, who asks, and how patiently.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::HubError;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Where the Hub is, who asks, and how patiently.
#[derive(Clone)]
pub struct Settings {
    /// Address of the Hub, without a slash at its end.
    pub endpoint: String,
    /// The access token; it is sent to the endpoint and nowhere else.
    pub token: Option<String>,
    /// Tries in a row that may bring nothing, for one file or one question.
    pub tries: u32,
    /// Pause after the first of them; it doubles from one to the next.
    pub pause: Duration,
    /// How long the other side may say nothing.
    pub patience: Duration,
}

impl Settings {
    /// The settings that the environment names, in the way of every Hub client.
    ///
    /// `HF_ENDPOINT` is the address; the token is `HF_TOKEN`, else the content of the file
    /// `HF_TOKEN_PATH`, else of `HF_HOME/token`. `HF_HUB_DISABLE_IMPLICIT_TOKEN` sends none.
    ///
    /// # Errors
    /// An endpoint that is no address.
    pub fn from_environment() -> Result<Settings, HubError> {
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let is_address = reqwest::Url::parse(&endpoint).is_ok_and(|url| url.has_host());
        if !is_address {
            return Err(HubError::Endpoint { endpoint });
        }
        let token = if text("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some() { None } else { token() };
        let (pause, patience) = (Duration::from_secs(1), Duration::from_secs(60));
        Ok(Settings { endpoint, token, tries: 5, pause, patience })
    }
}

fn text(variable: &str) -> Option<String> {
    env::var(variable).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn token() -> Option<String> {
    let read = |path: PathBuf| {
        let content = fs::read_to_string(path).ok()?;
        Some(content.trim().to_owned()).filter(|token| !token.is_empty())
    };
    text("HF_TOKEN")
        .or_else(|| text("HF_TOKEN_PATH").and_then(|path| read(PathBuf::from(path))))
        .or_else(|| read(plan::hub_home().join("token")))
}
