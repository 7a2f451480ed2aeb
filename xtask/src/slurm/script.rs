//! The two scripts that are submitted.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use plan::exit::STOPPED;

use super::{Requests, Submission};
use crate::compact::MANY;
use crate::exit::Exit;

/// How long before the time limit a worker is told to stop, at most, in seconds: it finishes its batch.
const NOTICE: u64 = 120;
/// How often a task goes back into the queue because of its time limit. A cell that takes longer than the
/// limit would never end.
const RESTARTS: u32 = 20;
/// How often because its worker was killed, which the next one may be too.
const RESTARTS_KILLED: u32 = 3;
/// Options that `slurm` sets itself.
const OWN: &[&str] = &[
    "array",
    "cpus-per-task",
    "dependency",
    "exclusive",
    "gpus",
    "gres",
    "job-name",
    "mem",
    "nodes",
    "no-requeue",
    "ntasks",
    "open-mode",
    "output",
    "parsable",
    "partition",
    "requeue",
    "signal",
    "time",
];

/// What the scripts are made of.
#[derive(Debug)]
pub(super) struct Script<'a> {
    pub(super) submission: &'a Submission,
    /// Of the submission.
    pub(super) folder: &'a Path,
    /// Of the run.
    pub(super) results: &'a Path,
    pub(super) requests: &'a Requests,
    pub(super) nodes: u64,
    pub(super) gpus: u64,
    pub(super) cpus: Option<u64>,
    pub(super) partition: Option<&'a str>,
    /// Options of the user, without their dashes.
    pub(super) options: &'a [String],
    pub(super) worker: &'a Path,
    pub(super) report: &'a Path,
    /// The arguments of the report.
    pub(super) report_words: &'a [OsString],
    pub(super) command: &'a str,
}

/// Refuses options of a user that `slurm` sets itself, and what would not stay on its line.
pub(super) fn check_options(options: &[String]) -> Result<()> {
    for option in options {
        let name = option.split(['=', ' ']).next().unwrap_or_default();
        if OWN.contains(&name) {
            let message = format!(
                "--sbatch {option}: `{name}` follows from the other options of this command"
            );
            return Err(Exit::usage(message).into());
        }
        if name.is_empty() || name.starts_with('-') || option.contains(['\n', '\r']) {
            let message =
                format!("--sbatch {option}: write NAME=VALUE or NAME, such as account=nlp");
            return Err(Exit::usage(message).into());
        }
    }
    Ok(())
}

impl Script<'_> {
    /// The job array: a share a task.
    pub(super) fn array(&self) -> String {
        let n_tasks = self.submission.shares.len();
        let mut options = self.of_both(&format!("slim-{}", self.submission.run), "%a.log");
        options.extend([
            format!("array=1-{n_tasks}%{}", self.nodes.min(n_tasks as u64)),
            "nodes=1".to_owned(),
            "ntasks=1".to_owned(),
            format!("mem={}", self.requests.mem),
            format!("time={}", self.requests.time),
            "requeue".to_owned(),
            format!("signal=B:USR1@{}", self.notice()),
        ]);
        if self.gpus > 0 {
            options.push(format!("gpus={}", self.gpus));
        }
        match self.cpus {
            Some(cpus) => options.push(format!("cpus-per-task={cpus}")),
            None if self.gpus == 0 => options.push("exclusive".to_owned()),
            None => {}
        }
        let values = [
            ("@OPTIONS@", lines(&options)),
            ("@FOLDER@", quoted(&self.folder.to_string_lossy())),
            ("@WORKER@", quoted(&self.worker.to_string_lossy())),
            ("@STOPPED@", STOPPED.to_string()),
            ("@RESTARTS@", RESTARTS.to_string()),
            ("@RESTARTS_KILLED@", RESTARTS_KILLED.to_string()),
        ];
        self.filled(include_str!("array.sh"), &values)
    }

    /// The job behind it, which writes the report.
    pub(super) fn report(&self) -> String {
        let mut options =
            self.of_both(&format!("slim-{}-report", self.submission.run), "report.log");
        options.extend(["nodes=1", "ntasks=1", "mem=2048M", "time=00:30:00"].map(str::to_owned));
        let words: Vec<String> =
            self.report_words.iter().map(|word| quoted(&word.to_string_lossy())).collect();
        let values = [
            ("@OPTIONS@", lines(&options)),
            ("@WORKER@", quoted(&self.worker.to_string_lossy())),
            ("@RESULTS@", quoted(&self.results.to_string_lossy())),
            ("@MANY@", MANY.to_string()),
            ("@REPORT@", quoted(&self.report.to_string_lossy())),
            ("@WORDS@", words.join(" ")),
        ];
        self.filled(include_str!("report.sh"), &values)
    }

    /// Options of both jobs.
    fn of_both(&self, name: &str, log: &str) -> Vec<String> {
        // A percent sign in a name of a file is one of Slurm's patterns, two are the sign.
        let logs = self.folder.join("logs").to_string_lossy().replace('%', "%%");
        let mut options = vec![format!("job-name={name}"), format!("output=\"{logs}/{log}\"")];
        options.push("open-mode=append".to_owned());
        options.extend(self.partition.map(|name| format!("partition={name}")));
        options.extend(self.options.iter().cloned());
        options
    }

    /// A quarter of a short time limit at most.
    fn notice(&self) -> u64 {
        self.requests.minutes.map_or(NOTICE, |minutes| NOTICE.min(minutes * 60 / 4))
    }

    fn filled(&self, template: &str, values: &[(&str, String)]) -> String {
        // What a comment quotes stays on its line.
        let command = self.command.replace(['\n', '\r'], " ");
        let text = template.replace("@RUN@", &self.submission.run).replace("@COMMAND@", &command);
        values.iter().fold(text, |text, (name, value)| text.replace(name, value))
    }
}

fn lines(options: &[String]) -> String {
    options.iter().map(|option| format!("#SBATCH --{option}")).collect::<Vec<_>>().join("\n")
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::slurm::Share;

    fn script(with: impl Fn(&mut Script<'_>)) -> [String; 2] {
        let share =
            Share { cells: vec!["ab".into()], flops_expected: vec![1.0], seconds_expected: 60.0 };
        let submission = Submission {
            run: "quick".into(),
            number: 3,
            pipeline: "pipelines/quick.toml".into(),
            shares: vec![share; 4],
            array_job: None,
            report_job: None,
        };
        let inspection = plan::Inspection {
            models: Vec::new(),
            cells: Vec::new(),
            peak_memory_bytes: 1 << 30,
            seconds_expected: 240.0,
        };
        let requests = Requests::of(&inspection, &submission.shares, None, None);
        let words: Vec<OsString> = ["--results", "/r/it's 5%"].map(OsString::from).into();
        let mut own = Script {
            submission: &submission,
            folder: Path::new("/r/it's 5%/quick/slurm/3"),
            results: Path::new("/r/it's 5%/quick"),
            requests: &requests,
            nodes: 2,
            gpus: 0,
            cpus: None,
            partition: None,
            options: &[],
            worker: Path::new("/r/worker-0123"),
            report: Path::new("/r/report-0123"),
            report_words: &words,
            command: "cargo xtask slurm pipelines/quick.toml --nodes 2 --tasks 4",
        };
        with(&mut own);
        [own.array(), own.report()]
    }

    #[test]
    fn options_follow_from_what_is_asked_for() {
        let [array, report] = script(|_| {});
        for line in [
            "#SBATCH --job-name=slim-quick",
            "#SBATCH --array=1-4%2",
            "#SBATCH --exclusive",
            "#SBATCH --mem=1536M",
            "#SBATCH --time=00:20:00",
            "#SBATCH --requeue",
            "#SBATCH --signal=B:USR1@120",
            "#SBATCH --output=\"/r/it's 5%%/quick/slurm/3/logs/%a.log\"",
            "order='/r/it'\\''s 5%/quick/slurm/3'/orders/$SLURM_ARRAY_TASK_ID.json",
            "'/r/worker-0123' run --unattended --order \"$order\" &",
        ] {
            assert!(array.lines().any(|own| own == line), "{line}\n{array}");
        }
        assert!(
            report.contains("exec '/r/report-0123' '--results' '/r/it'\\''s 5%'\n"),
            "{report}"
        );
        let folds = "compact --unattended --results '/r/it'\\''s 5%/quick' --at-least 5000";
        assert!(report.contains(folds), "{report}");
        assert!(![&array, &report].iter().any(|text| text.contains('@') && text.contains("@RE")));
        let [array, report] = script(|own| {
            (own.gpus, own.cpus, own.partition) = (2, Some(8), Some("gpu"));
        });
        assert!(array.contains("--gpus=2\n#SBATCH --cpus-per-task=8\n"), "{array}");
        assert!(!array.contains("exclusive"));
        assert!(array.contains("--partition=gpu") && report.contains("--partition=gpu"));
        assert!(!report.contains("gpus"));
    }

    #[test]
    fn a_shell_reads_them() {
        for text in script(|_| {}) {
            let checked = Command::new("bash").args(["-n", "-c", &text]).status().unwrap();
            assert!(checked.success(), "{text}");
        }
    }

    /// The array's script with a worker and a `scontrol` of the test's own; what it says, and its code.
    fn ran(worker: &str, restarts: u32, signal: Option<&str>) -> (String, Option<i32>) {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
            path
        };
        let worker = program("worker", worker);
        // As Slurm does, it ends the script that asks.
        program("scontrol", "echo \"scontrol $*\"; kill -TERM $PPID; exit 1");
        let [array, _] = script(|_| {});
        let array = array.replace("'/r/worker-0123'", &quoted(&worker.to_string_lossy()));
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut child = Command::new("bash")
            .args(["-c", &array])
            .env("PATH", path)
            .envs([
                ("SLURM_ARRAY_TASK_ID", "2"),
                ("SLURM_ARRAY_JOB_ID", "7"),
                ("SLURM_JOB_ID", "9"),
            ])
            .env("SLURM_RESTART_COUNT", restarts.to_string())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        // The worker's first line tells that it is there.
        while !said.contains("ready")
            && std::io::BufRead::read_line(&mut out, &mut said).unwrap() > 0
        {}
        if let Some(signal) = signal {
            let id = child.id().to_string();
            assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        }
        std::io::Read::read_to_string(&mut out, &mut said).unwrap();
        (said, child.wait().unwrap().code())
    }

    const STOPS: &str = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";

    #[test]
    fn a_task_goes_back_into_the_queue_when_it_should() {
        let (said, _) = ran(STOPS, 0, Some("-USR1"));
        assert!(said.contains("the time limit is near; queued again"), "{said}");
        assert!(said.contains("scontrol requeue 9"), "{said}");
        let (said, _) = ran("echo ready; kill -KILL $$", 0, None);
        assert!(
            said.contains("killed by signal 9") && said.contains("scontrol requeue 9"),
            "{said}"
        );
    }

    #[test]
    fn a_task_stays_out_of_the_queue_when_it_should() {
        // Cancelled: the worker is stopped, and nothing else.
        assert_eq!(ran(STOPS, 0, Some("-TERM")).1, Some(5));
        for (code, worker) in
            [(0, "echo ready"), (1, "echo ready; exit 1"), (4, "echo ready; exit 4")]
        {
            let (said, found) = ran(worker, 0, None);
            assert_eq!(found, Some(code));
            assert!(!said.contains("scontrol"), "{said}");
        }
        // Too often: not for ever.
        let (said, found) = ran(STOPS, 20, Some("-USR1"));
        assert!(said.contains("not queued again after 20 times") && found == Some(5), "{said}");
        let (said, found) = ran("echo ready; kill -KILL $$", 3, None);
        assert!(said.contains("not queued again after 3 times") && found == Some(137), "{said}");
    }

    #[test]
    fn options_that_follow_are_refused() {
        check_options(&["account=nlp".into(), "hold".into()]).unwrap();
        for wrong in ["array=1-3", "mem=3G", "", "--qos=low", "comment=a\nb"] {
            let error = check_options(&[wrong.to_owned()]).unwrap_err();
            assert_eq!(crate::exit::code_of(&error), plan::exit::BAD_PIPELINE, "{wrong}");
        }
    }
}
