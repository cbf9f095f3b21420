//! Flink's answers: a Java program (`java/`), built when it has changed and run once for all questions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Event, Input};
use crate::queries::Question;

/// Flink, ready to be asked.
#[derive(Debug)]
pub struct Flink {
    tools: PathBuf,
}

#[derive(Serialize)]
struct Case<'a> {
    name: &'a str,
    bound: i64,
    tables: BTreeSet<&'a str>,
    events: Vec<&'a Event>,
    queries: BTreeMap<&'a str, &'a str>,
}

/// What Flink makes of an input.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// The input's name.
    pub name: String,
    /// Rows by question.
    pub rows: BTreeMap<String, Vec<Value>>,
    /// Questions that it refuses, and why.
    pub errors: BTreeMap<String, String>,
}

impl Flink {
    /// Fetches the libraries with Maven and compiles the program, unless that was done before.
    pub fn build(target: &Path) -> Result<Flink> {
        let tools = target.join("tools/flink");
        let java = Path::new(env!("CARGO_MANIFEST_DIR")).join("java");
        let pom = fs::read_to_string(java.join("pom.xml"))?;
        let done = tools.join("pom.xml");
        fs::create_dir_all(&tools)?;
        if fs::read_to_string(&done).ok().as_ref() != Some(&pom) {
            eprintln!("fetching Flink's libraries, 140 MB, into {}", tools.display());
            fs::remove_dir_all(tools.join("lib")).ok();
            let mut maven = Command::new("mvn");
            maven
                .args(["--batch-mode", "dependency:copy-dependencies"])
                .arg(format!("-Dmaven.repo.local={}", tools.join("maven").display()))
                .arg(format!("-Dlibraries={}", tools.join("lib").display()))
                .current_dir(&java);
            run(&mut maven)?;
            // The libraries are copies; a repository of them is of no further use.
            fs::remove_dir_all(tools.join("maven")).ok();
            fs::write(&done, pom)?;
        }
        let classes = tools.join("classes");
        fs::remove_dir_all(&classes).ok();
        let services = classes.join("META-INF/services");
        fs::create_dir_all(&services)?;
        fs::write(
            services.join("org.apache.flink.metrics.reporter.MetricReporterFactory"),
            "reference.Gate\n",
        )?;
        let mut sources: Vec<PathBuf> = fs::read_dir(java.join("src/main/java/reference"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        sources.sort();
        let mut javac = Command::new("javac");
        // Sources and sinks that a function of a few lines is enough for are deprecated in Flink, without a replacement.
        javac.args(["--release", "17", "-nowarn", "-Xlint:-deprecation", "-cp"]);
        javac
            .arg(tools.join("lib/*"))
            .arg("-d")
            .arg(&classes)
            .args(&sources);
        run(&mut javac)?;
        Ok(Flink { tools })
    }

    /// Asks all questions about all inputs.
    pub fn answers(&self, asked: &[(&Input, Vec<&Question>)]) -> Result<Vec<Answer>> {
        let mut java = Command::new("java");
        // Short jobs: the second compiler costs more than it gives.
        java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g"]);
        java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error");
        java.args(["--add-opens", "java.base/java.util=ALL-UNNAMED"]);
        java.args(["--add-opens", "java.base/java.lang=ALL-UNNAMED"]);
        let path = [self.tools.join("classes"), self.tools.join("lib/*")];
        java.arg("-cp")
            .arg(std::env::join_paths(path)?)
            .arg("reference.Reference");
        java.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = java.spawn().context("cannot start java")?;
        let mut stdin = child.stdin.take().context("no input")?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut requests = Vec::new();
        for (input, questions) in asked {
            // A table that nobody asks about has no source in Flink.
            let inputs = questions.iter().flat_map(|question| &question.query.inputs);
            let tables: BTreeSet<&str> = inputs.map(|input| input.variable.as_str()).collect();
            let read = |event: &&Event| tables.contains(event.table.as_str());
            let case = Case {
                name: &input.name,
                bound: input.bound,
                events: input.events.iter().filter(read).collect(),
                tables,
                queries: questions
                    .iter()
                    .map(|question| (question.name.as_str(), question.sql.as_str()))
                    .collect(),
            };
            serde_json::to_writer(&mut requests, &case)?;
            requests.push(b'\n');
        }
        // Both pipes may fill up.
        let writer = std::thread::spawn(move || stdin.write_all(&requests));
        let mut answers = Vec::new();
        for line in lines {
            let answer: Answer = serde_json::from_str(&line?)?;
            eprintln!("Flink: {}", answer.name);
            answers.push(answer);
        }
        let status = child.wait()?;
        ensure!(
            matches!(writer.join(), Ok(Ok(()))),
            "Flink did not read all cases"
        );
        ensure!(
            status.success() && answers.len() == asked.len(),
            "Flink ended with {status}"
        );
        Ok(answers)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| {
        format!("cannot start {name}; on Debian: apt-get install openjdk-17-jdk-headless maven")
    })?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}
