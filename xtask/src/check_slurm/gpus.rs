//! Whether the cluster takes a submission that asks for GPUs, and gives its tasks one; nothing is computed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use plan::exit::DONE;

use super::Check;

impl Check<'_> {
    /// Asks for one GPU a task, as a user does, and for more than a node has.
    pub(super) fn gpus(&self) -> Result<()> {
        let script = self.gpu_script(1)?;
        self.cluster.slurm(&["sbatch", "--test-only", &word(&script)])?;
        let given = self.what_a_task_gets(&script)?;
        ensure!(given == "0", "a task that asked for one GPU sees `{given}`, not the first one");
        let too_many = self.gpu_script(2)?;
        let answer = self.cluster.slurm(&["sbatch", "--test-only", &word(&too_many)]);
        ensure!(answer.is_err(), "two GPUs are promised on nodes that have one");
        eprintln!("GPUs: the script is accepted, and a task sees its own");
        Ok(())
    }

    /// The script of the array that asks for so many GPUs a task. It is to compute on the CPU, for the GPUs
    /// are none, and a worker for real ones takes long to build.
    fn gpu_script(&self, gpus: u32) -> Result<PathBuf> {
        let mut words = self.words("slurm", &self.folder.join("gpus"));
        let gpus = gpus.to_string();
        let own = ["--nodes", "2", "--gpus", &gpus, "--device", "cpu", "--dry-run", "--json"];
        words.extend(own.map(str::to_owned));
        let told = self.xtask(&words, DONE)?;
        let script = told["scripts"]["array"].as_str().context("no script was printed")?;
        let file = self.folder.join(format!("gpus-{gpus}.sh"));
        fs::write(&file, script).context("cannot write the script")?;
        Ok(file)
    }

    /// Runs one task with the options of a script; the value is the GPUs that it may use.
    fn what_a_task_gets(&self, script: &Path) -> Result<String> {
        let text = fs::read_to_string(script).context("cannot read the script")?;
        let options = text.lines().take_while(|line| *line != "set -u");
        let lines = options.chain(["echo \"${CUDA_VISIBLE_DEVICES-none}\"", ""]);
        let file = self.folder.join("gpus-asks.sh");
        fs::write(&file, lines.collect::<Vec<_>>().join("\n")).context("cannot write a script")?;
        let output = self.folder.join("gpus.log");
        // What the line of the command says counts before what the script says.
        let to = format!("--output={}", output.display());
        let asks = ["timeout", "120", "sbatch", "--wait", "--array=1", &to, &word(&file)];
        self.cluster.slurm(&asks).context("a task that asks for a GPU does not come to run")?;
        let said = fs::read_to_string(&output).context("the task has left no log")?;
        Ok(said.trim().to_owned())
    }
}

fn word(path: &Path) -> String {
    path.display().to_string()
}
