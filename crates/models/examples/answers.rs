//! Logits of many folders in one process, for a script that compares them with another framework's
//! (`tests/differential`): a request a line on standard input, an answer for each on standard output.
//!
//! A request is `{"folder", "config", "ids", "keep"}`: `config` is written to the folder's config.json, and
//! the last `keep` rows of logits are the answer. Without ids it is the number of parameters that the
//! config gives. An answer is a line `logits ROWS VOCABULARY` and so many little-endian f32 after it,
//! `parameters N`, `refused TEXT` or `panicked TEXT`.

use std::{
    error::Error,
    io::{BufRead, Write, stdin, stdout},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use models::{Batch, Dense, Device, into_values, load, sizes};
use serde_json::Value;

type Anything = Box<dyn Error>;

enum Answer {
    Logits { rows: usize, values: Vec<f32> },
    Parameters(usize),
}

fn main() -> Result<(), Anything> {
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let caught = catch_unwind(AssertUnwindSafe(|| answer(&request)));
        match caught {
            Ok(Ok(Answer::Logits { rows, values })) => {
                writeln!(out, "logits {rows} {}", values.len() / rows.max(1))?;
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                out.write_all(&bytes)?;
            }
            Ok(Ok(Answer::Parameters(parameters))) => writeln!(out, "parameters {parameters}")?,
            Ok(Err(error)) => writeln!(out, "refused {}", one_line(&error.to_string()))?,
            Err(panic) => writeln!(out, "panicked {}", one_line(&said(panic.as_ref())))?,
        }
        out.flush()?;
    }
    Ok(())
}

fn answer(request: &Value) -> Result<Answer, Anything> {
    let text = |key: &str| request[key].as_str().ok_or(format!("`{key}` is no text"));
    let folder = Path::new(text("folder")?);
    let config = folder.join("config.json");
    std::fs::write(&config, text("config")?)?;
    let ids = request["ids"].as_array().ok_or("`ids` is no list")?;
    let ids: Option<Vec<u32>> = ids.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect();
    let ids = ids.ok_or("`ids` holds what is no id")?;
    if ids.is_empty() {
        return Ok(Answer::Parameters(sizes(&config)?.parameters));
    }
    let keep = request["keep"].as_u64().ok_or("`keep` is no number")?;
    let rows = usize::try_from(keep)?.min(ids.len());
    let model = load(folder, &Device::flex())?.model;
    let hidden = model.forward(&Batch::new([ids.as_slice()]), &mut Dense)?;
    let hidden = hidden.narrow(0, ids.len() - rows, rows);
    Ok(Answer::Logits { rows, values: into_values(model.logits(hidden)) })
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
