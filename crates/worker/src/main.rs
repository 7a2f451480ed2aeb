//! The worker: the only place where models meet the store. `cargo xtask` writes what is to be done
//! and starts it; people rarely call it by hand.

mod awake;
mod cell;
mod cells;
mod choices;
mod compact;
mod evaluate;
mod fail;
mod inspect;
mod log;
mod logits;
mod material;
mod observe;
mod observe_attention;
mod observe_layers;
mod parallel;
mod recipe;
mod rows;
mod run;
mod runner;
mod scores;
mod slim;
mod slim_files;
mod speed;
mod speed_table;
mod stop;
mod subject;
mod survey;
mod system;
mod text;
mod timed;
mod turns;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use plan::DeviceName;
use runs::Pace;

use crate::fail::Fail;

#[derive(Parser)]
#[command(name = "worker", about = "Runs the cells it is given", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the cells of a work order that are not done; events go to standard output.
    Run {
        /// The work order, JSON.
        #[arg(long)]
        order: PathBuf,
        /// Milliseconds between two signs of life for the other workers of the run.
        #[arg(long)]
        beat_ms: Option<u64>,
        /// Milliseconds after which a worker on another machine without a new sign counts as dead.
        #[arg(long)]
        silence_ms: Option<u64>,
        /// Nobody reads along: lines for people instead of events, and standard input is no lifeline.
        #[arg(long)]
        unattended: bool,
    },
    /// Say what a work order will cost.
    Inspect {
        /// The work order, JSON.
        #[arg(long)]
        order: PathBuf,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Say whether this build can compute on a device; the device itself need not be on this machine.
    Reaches {
        /// cpu, cuda:0 or wgpu:0.
        #[arg(long)]
        device: DeviceName,
    },
    /// Run one cell by hand.
    Cell {
        /// The request, JSON.
        #[arg(long)]
        request: PathBuf,
    },
    /// Say what lies in a results folder, as one JSON object.
    Survey {
        /// The folder of a run.
        #[arg(long)]
        results: PathBuf,
        /// Also give the cell of every file.
        #[arg(long, conflicts_with = "standing")]
        cells: bool,
        /// Only say which cells are done and which failed.
        #[arg(long)]
        standing: bool,
    },
    /// Fold the files of a results folder into large ones; events go to standard output.
    Compact {
        /// The folder of a run.
        #[arg(long)]
        results: PathBuf,
        /// Only say how much there is to fold.
        #[arg(long)]
        dry_run: bool,
        /// Do nothing where fewer cells than that have files of their own.
        #[arg(long, default_value_t = 0)]
        at_least: usize,
        /// Nobody reads along: standard input is no lifeline.
        #[arg(long)]
        unattended: bool,
    },
    /// Say what every choice of a results folder came to, one JSON object a cell.
    Choices {
        /// The folder of a run.
        #[arg(long)]
        results: PathBuf,
    },
    /// Say what one file of a results folder says of itself, as one JSON object.
    About {
        /// The Parquet file.
        #[arg(long)]
        file: PathBuf,
        /// The table that it belongs to.
        #[arg(long)]
        table: runs::Table,
        /// Which cell of it, where it holds many.
        #[arg(long)]
        id: Option<String>,
    },
    /// Write what a recipe's cuts leave as a model of its own; events go to standard output.
    Slim {
        /// The request, JSON.
        #[arg(long)]
        request: PathBuf,
    },
    /// Time dense passes over made-up ids.
    Speed(speed::Args),
    /// Make one model ready and time it whenever standard input asks for it.
    Timed {
        /// The request, JSON.
        #[arg(long)]
        request: PathBuf,
    },
    /// Write what `cargo xtask speed` measured as a Parquet table.
    SpeedTable {
        /// The rows, JSON.
        #[arg(long)]
        rows: PathBuf,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write logits, and hidden vectors if asked, of a sequence of token ids.
    Logits {
        /// A GGUF file or a Hugging Face folder.
        #[arg(long)]
        model: PathBuf,
        /// Token ids, separated by white space or commas.
        #[arg(long)]
        tokens: String,
        /// The safetensors file to write.
        #[arg(long)]
        out: PathBuf,
        /// Also write `h` of every site.
        #[arg(long)]
        hidden: bool,
        /// Where to compute: cpu, cuda:0 or wgpu:0.
        #[arg(long, default_value_t)]
        device: DeviceName,
    },
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("SLIM_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(system::colours())
        .init();
    let result = match Arguments::parse().command {
        Command::Run { order, beat_ms, silence_ms, unattended } => {
            let Pace { beat, silence } = Pace::default();
            let beat = beat_ms.map_or(beat, Duration::from_millis);
            let silence = silence_ms.map_or(silence, Duration::from_millis);
            run::run(&order, Pace { beat, silence }, unattended)
        }
        Command::Inspect { order, json } => inspect::inspect(&order, json),
        Command::Reaches { device } => {
            subject::device(device).map(|_| plan::exit::DONE).map_err(fail::Fail::Usage)
        }
        Command::Survey { results, standing: true, .. } => survey::standing(&results),
        Command::Survey { results, cells, .. } => survey::survey(&results, cells),
        Command::Compact { results, dry_run, at_least, unattended } => {
            compact::compact(&results, dry_run, at_least, unattended)
        }
        Command::Choices { results } => choices::choices(&results),
        Command::About { file, table, id } => survey::about(&file, table, id.as_deref()),
        Command::Slim { request } => slim::slim(&request),
        Command::Speed(args) => speed::speed(&args),
        Command::Timed { request } => timed::timed(&request),
        Command::SpeedTable { rows, out } => speed_table::speed_table(&rows, &out),
        Command::Cell { request } => cell::cell(&request),
        Command::Logits { model, tokens, out, hidden, device } => {
            logits::logits(&model, &tokens, &out, hidden, device)
        }
    };
    match result {
        Ok(code) => code_of(code),
        Err(fail) => {
            fail.print();
            code_of(fail.code())
        }
    }
}

fn code_of(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(plan::exit::FAILED_CELLS as u8))
}

type Outcome = Result<i32, Fail>;
