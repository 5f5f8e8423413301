//! A build that knows how it is used: instrumented, trained by `waypost bench` and by requests of every API, and built
//! again with what was seen (<https://doc.rust-lang.org/rustc/profile-guided-optimization.html>).

mod dialects;

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The profile of Cargo that is built
    #[arg(long, default_value = "release")]
    profile: String,
    /// Where everything is built and kept, apart from other builds
    #[arg(long, default_value = "target/pgo", value_name = "FOLDER")]
    target_dir: PathBuf,
    /// Other flags of the compiler, such as `-Ctarget-feature=+crt-static`
    #[arg(long, env = "RUSTFLAGS", default_value = "", allow_hyphen_values = true, value_name = "FLAGS")]
    flags: String,
    /// An `llvm-profdata` of the compiler's LLVM (`rustc -vV` says which), where the toolchain has none
    #[arg(long, env = "LLVM_PROFDATA", value_name = "PROGRAM")]
    profdata: Option<PathBuf>,
    /// Seconds for which each case of `waypost bench` trains it
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let host = said_by(Command::new("rustc").args(["--print", "host-tuple"]))?;
    // Before the minutes that the first build takes.
    let merge = match &options.profdata {
        Some(own) => own.clone(),
        None => profdata(Path::new(&said_by(Command::new("rustc").args(["--print", "sysroot"]))?), &host)?,
    };
    std::fs::create_dir_all(&options.target_dir)?;
    let folder = options.target_dir.canonicalize()?;
    let (seen, merged) = (folder.join("seen"), folder.join("waypost.profdata"));
    if seen.exists() {
        // Of an older program.
        std::fs::remove_dir_all(&seen)?;
    }

    let build = Build { options, folder: &folder, host: &host };
    step("build with counters")?;
    let instrumented = build.program("-Cprofile-generate=", &seen)?;
    step("train it by `waypost bench`")?;
    train(&instrumented, &folder, Duration::from_secs(options.seconds.into()))?;
    step("train it by requests of every API")?;
    dialects::train(&instrumented)?;
    let has_seen = std::fs::read_dir(&seen).is_ok_and(|mut files| files.next().is_some());
    ensure!(has_seen, "no gateway has written into {} what it has seen", seen.display());
    step("merge what the gateways have seen")?;
    done(Command::new(merge).arg("merge").arg("-o").args([&merged, &seen]))?;
    let merged = named_by_content(&merged)?;
    step("build by it")?;
    let program = build.program("-Cprofile-use=", &merged)?;
    writeln!(std::io::stdout(), "{}", program.display())?;
    Ok(())
}

/// Moves a file to a name that says what is in it: cargo builds anew where its flags have changed, and looks into no file
/// that they name.
fn named_by_content(path: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&std::fs::read(path)?);
    let named = path.with_file_name(format!("waypost-{:016x}.profdata", hasher.finish()));
    std::fs::rename(path, &named)?;
    Ok(named)
}

/// `llvm-profdata` of the toolchain: those of another LLVM need not read what this compiler writes.
fn profdata(sysroot: &Path, host: &str) -> Result<PathBuf> {
    let path = sysroot.join("lib/rustlib").join(host).join("bin/llvm-profdata");
    if !path.exists() {
        bail!(
            "the toolchain has no `llvm-profdata`\nhint: `rustup component add llvm-tools` brings it; one of the same LLVM from elsewhere does with `--profdata`"
        );
    }
    Ok(path)
}

struct Build<'a> {
    options: &'a Options,
    folder: &'a Path,
    host: &'a str,
}

impl Build<'_> {
    /// Builds the program with one more flag, which ends with a path.
    fn program(&self, flag: &str, path: &Path) -> Result<PathBuf> {
        let Self { options, folder, host } = self;
        // In this form a path may have spaces.
        let mut flags = OsString::new();
        for known in options.flags.split_whitespace() {
            flags.push(known);
            flags.push("\x1f");
        }
        flags.push(flag);
        flags.push(path);
        // Where a target is named, build scripts and macros do not get the flags.
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--locked", "--package", "waypost", "--bin", "waypost", "--target", host]);
        cargo.args(["--profile", &options.profile, "--target-dir"]).arg(folder);
        done(cargo.env("CARGO_ENCODED_RUSTFLAGS", flags))?;
        // The one profile whose folder has another name.
        let profile = if options.profile == "dev" { "debug" } else { &options.profile };
        Ok(folder.join(host).join(profile).join("waypost"))
    }
}

/// Every case: what `waypost bench` measures is what the program is built for.
fn train(program: &Path, folder: &Path, duration: Duration) -> Result<()> {
    let mut bench = Command::new(program);
    bench.args(["bench", "--rounds=1", &format!("--duration={}s", duration.as_secs())]);
    // The load and the mock are the same program, and not what is to be quick. Gateways get no variables of ours.
    bench.env("LLVM_PROFILE_FILE", folder.join("load-%p.profraw"));
    let trained = done(bench.stdout(Stdio::null()));
    for entry in std::fs::read_dir(folder)?.flatten() {
        if entry.file_name().to_string_lossy().ends_with(".profraw") {
            std::fs::remove_file(entry.path())?;
        }
    }
    trained
}

fn step(what: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "== {what}")?)
}

/// Runs it to its end, which has to be a good one.
fn done(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start `{program}`"))?;
    ensure!(status.success(), "`{program}` has failed: {status}");
    Ok(())
}

/// The line that it prints.
fn said_by(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start `{program}`"))?;
    ensure!(output.status.success(), "`{program}` has failed: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_profile_has_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let name = |text: &str| {
            let path = folder.path().join("waypost.profdata");
            std::fs::write(&path, text).unwrap();
            let named = named_by_content(&path).unwrap();
            assert_eq!(std::fs::read_to_string(&named).unwrap(), text);
            named
        };
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
    }

    #[test]
    fn a_toolchain_without_the_tool_says_what_brings_it() {
        let sysroot = tempfile::tempdir().unwrap();
        let error = profdata(sysroot.path(), "x86_64-unknown-linux-gnu").unwrap_err().to_string();
        assert!(error.contains("rustup component add llvm-tools"), "{error}");
        let bin = sysroot.path().join("lib/rustlib/x86_64-unknown-linux-gnu/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("llvm-profdata"), "").unwrap();
        assert_eq!(profdata(sysroot.path(), "x86_64-unknown-linux-gnu").unwrap(), bin.join("llvm-profdata"));
    }
}
