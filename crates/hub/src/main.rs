//! The binary `hub`: reads a request of `cargo xtask fetch`, fetches, and prints the answer.
//!
//! It is a program of its own because the means to speak HTTPS take minutes to build, which `xtask`
//! must not wait for.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use hub::{Hub, Settings, Step};
use indicatif::{ProgressBar, ProgressStyle};
use plan::FetchRequest;

/// Fetches files of the Hugging Face Hub into its cache; started by `cargo xtask fetch`.
#[derive(Debug, Parser)]
struct Cli {
    /// What to fetch: a JSON file
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match fetch(&cli) {
        Ok(()) => plan::exit::DONE,
        Err(error) => {
            eprintln!("error: {error:#}");
            plan::exit::BAD_INPUTS
        }
    };
    ExitCode::from(code as u8)
}

fn fetch(cli: &Cli) -> anyhow::Result<()> {
    let text = fs::read_to_string(&cli.request)
        .with_context(|| format!("cannot read the request {}", cli.request.display()))?;
    let request: FetchRequest = serde_json::from_str(&text)
        .with_context(|| format!("{} is no request", cli.request.display()))?;
    let hub = Hub::new(Settings::from_environment()?)?;
    let mut shown = Shown::new();
    let answer = hub.fetch(&request, &mut |step| shown.step(step));
    shown.bar.finish_and_clear();
    let answer = serde_json::to_string(&answer?).context("cannot encode the answer")?;
    writeln!(std::io::stdout().lock(), "{answer}").context("cannot write the answer")
}

/// One bar, for the file at hand; hidden where no person looks.
struct Shown {
    bar: ProgressBar,
}

impl Shown {
    fn new() -> Shown {
        let bar = ProgressBar::new(0);
        let template = "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
        // The template is a constant; a wrong one would fall back to the plain bar.
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Shown { bar }
    }

    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::File { path, bytes, have } => {
                self.bar.set_length(bytes);
                self.bar.set_position(have);
                self.bar.reset_eta();
                self.bar.set_message(path.to_owned());
                if self.bar.is_hidden() {
                    let from =
                        if have == 0 { String::new() } else { format!(" from byte {have} on") };
                    eprintln!("{path}: {bytes} bytes{from}");
                }
            }
            Step::At { bytes } => self.bar.set_position(bytes),
            Step::Check { path } => self.bar.set_message(format!("checking {path}")),
            Step::Pause { why, pause } => {
                let text = format!("{why}; next try in {}", seconds(pause));
                self.bar.suspend(|| eprintln!("{text}"));
            }
        }
    }
}

fn seconds(pause: Duration) -> String {
    format!("{:.1} s", pause.as_secs_f64())
}
