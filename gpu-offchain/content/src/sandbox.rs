//! PDF and Parquet are parsed in a child process, so that a hostile file can neither crash the program, nor fill
//! its memory, nor keep it busy: the child is the same program started again, which gives up all it does not
//! need, reads the file from its standard input and writes texts to its standard output.
//!
//! A program that brings such files in calls [`enter_if_asked`] first thing in `main`:
//!
//! ```no_run
//! openledger_content::sandbox::enter_if_asked();
//! // ... the program
//! ```

use crate::{record::MAX_RAW, Error, Format, Result};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{mpsc, OnceLock},
    time::{Duration, Instant},
};

/// Asks a program to be the child: the format, then the limits that the child sets itself.
const ASK: &str = "OPENLEDGER_CONTENT_PARSE";

/// What starts the child: itself, or a program named with [`use_program`].
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Lets this program parse risky formats in a child. To be called first in `main`: in the child it does not
/// return.
pub fn enter_if_asked() {
    if let Some(ask) = std::env::var_os(ASK) {
        let done = ask.to_str().and_then(Ask::parse).is_some_and(child);
        std::process::exit(i32::from(!done));
    }
    // The kernel's own name for this program: right even after an upgrade has replaced its file.
    let _ = PROGRAM.set(PathBuf::from("/proc/self/exe"));
}

/// Has the child be another program, whose `main` calls [`enter_if_asked`]; for programs whose `main` is not
/// theirs, as tests are. The first call counts.
pub fn use_program(program: &Path) {
    let _ = PROGRAM.set(program.to_path_buf());
}

/// What the parsing of one file may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Address space in bytes.
    pub memory: u64,
    /// Seconds of a processor.
    pub seconds: u64,
    /// Seconds until the child is killed whatever it does.
    pub patience: u64,
    /// Bytes of text.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 2 << 30,
            seconds: 120,
            patience: 600,
            output: 1 << 30,
        }
    }
}

/// What a child is asked for.
struct Ask {
    format: Format,
    memory: u64,
    seconds: u64,
}

impl Ask {
    fn print(&self) -> String {
        let format = if self.format == Format::Pdf {
            "pdf"
        } else {
            "parquet"
        };
        format!("{format} {} {}", self.memory, self.seconds)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let format = match words.next()? {
            "pdf" => Format::Pdf,
            "parquet" => Format::Parquet,
            _ => return None,
        };
        Some(Self {
            format,
            memory: words.next()?.parse().ok()?,
            seconds: words.next()?.parse().ok()?,
        })
    }
}

// Frames from child to parent: a kind, a length (u32, big-endian), so many bytes.
const RECORD: u8 = 1;
const FLAW: u8 = 2;
const DONE: u8 = 3;

/// Where a parser in the child puts its texts.
pub(crate) struct Texts(BufWriter<File>);

impl Texts {
    fn frame(&mut self, kind: u8, text: &str) -> std::io::Result<()> {
        let length = u32::try_from(text.len()).map_err(std::io::Error::other)?;
        self.0.write_all(&[kind])?;
        self.0.write_all(&length.to_be_bytes())?;
        self.0.write_all(text.as_bytes())
    }

    /// The text of a record.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), String> {
        self.frame(RECORD, text).map_err(|error| error.to_string())
    }
}

/// The child's life. Tells whether it could say how it went.
fn child(ask: Ask) -> bool {
    use rustix::{
        io::dup,
        process::{set_parent_process_death_signal, setrlimit, Resource, Rlimit, Signal},
        stdio::{dup2_stdout, stderr, stdin, stdout},
    };
    let exactly = |limit| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    let prepared = (|| -> rustix::io::Result<(File, File)> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let (input, output) = (dup(stdin())?, dup(stdout())?);
        // What a parser prints is not ours.
        dup2_stdout(stderr())?;
        setrlimit(Resource::As, exactly(ask.memory))?;
        setrlimit(Resource::Cpu, exactly(ask.seconds))?;
        setrlimit(Resource::Core, exactly(0))?;
        // No file can be opened, no socket, nothing be written but to what is open.
        setrlimit(Resource::Fsize, exactly(0))?;
        setrlimit(Resource::Nofile, exactly(0))?;
        Ok((File::from(input), File::from(output)))
    })();
    let Ok((input, output)) = prepared else {
        return false;
    };
    let mut texts = Texts(BufWriter::new(output));
    let parsed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match ask.format {
        Format::Pdf => crate::pdf::parse(input, &mut texts),
        _ => crate::parquet::parse(input, &mut texts),
    }));
    let parsed = parsed
        .unwrap_or_else(|_| Err("its parser stumbled: it is damaged, or not what its name says".into()));
    let told = match parsed {
        Ok(()) => texts.frame(DONE, ""),
        Err(flaw) => texts.frame(FLAW, &flaw),
    };
    told.and_then(|()| texts.0.flush()).is_ok()
}

/// Calls `each` with the texts of a file, which a child parses.
///
/// Errors: what is wrong with the file, which limit it broke, and what `each` returns. Whatever the file does,
/// this program goes on.
pub(crate) fn parse(
    format: Format,
    file: File,
    limits: &Limits,
    each: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let program = PROGRAM.get().ok_or_else(|| {
        flaw("this program does not read PDF or Parquet (its main does not call sandbox::enter_if_asked)")
    })?;
    let ask = Ask {
        format,
        memory: limits.memory,
        seconds: limits.seconds,
    };
    let mut child = Command::new(program)
        .env_clear()
        .env(ASK, ask.print())
        .current_dir("/")
        .stdin(Stdio::from(file))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            flaw(format!(
                "the process that parses it could not be started: {error}"
            ))
        })?;
    let (output, complaints) = (child.stdout.take(), child.stderr.take());
    let (Some(output), Some(complaints)) = (output, complaints) else {
        return Err(flaw("the process that parses it has no output"));
    };
    std::thread::scope(|scope| {
        // The pipe is drained whatever the parser prints; only its beginning is kept.
        let complaints = scope.spawn(move || {
            let mut kept = Vec::new();
            let mut complaints = complaints;
            let _ = complaints.by_ref().take(64 << 10).read_to_end(&mut kept);
            let _ = std::io::copy(&mut complaints, &mut std::io::sink());
            String::from_utf8_lossy(&kept).into_owned()
        });
        let (stop, stopped) = mpsc::channel::<()>();
        let guard = scope.spawn(move || guard(child, &stopped, Duration::from_secs(limits.patience)));
        let taken = take(BufReader::new(output), limits, each);
        // Also says that the child is no longer wanted.
        drop(stop);
        let ended = guard.join();
        let complaints = complaints.join().unwrap_or_default();
        match taken {
            Ok(true) => Ok(()),
            Ok(false) => Err(flaw(match ended {
                Ok((status, waited)) => why(status, waited, &complaints, limits),
                Err(_) => "the process that parses it was lost".into(),
            })),
            Err(error) => Err(error),
        }
    })
}

/// Waits until the child is no longer wanted or time is up, then ends it.
fn guard(mut child: Child, stopped: &mpsc::Receiver<()>, patience: Duration) -> (Option<ExitStatus>, bool) {
    let waited = matches!(
        stopped.recv_timeout(patience),
        Err(mpsc::RecvTimeoutError::Timeout)
    );
    // Its output is closed, so it is about to end by itself and its status tells why.
    let until = Instant::now() + Duration::from_secs(2);
    while !waited && Instant::now() < until {
        if let Ok(Some(status)) = child.try_wait() {
            return (Some(status), waited);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    (child.wait().ok(), waited)
}

/// Reads the child's frames; tells whether it came to its end.
fn take(mut from: impl Read, limits: &Limits, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<bool> {
    let mut taken = 0u64;
    let mut text = Vec::new();
    loop {
        let mut head = [0; 5];
        if from.read_exact(&mut head).is_err() {
            return Ok(false);
        }
        let [kind, length @ ..] = head;
        let length = u64::from(u32::from_be_bytes(length));
        if length > MAX_RAW {
            return Err(Error::TooLong {
                bytes: length as usize,
            });
        }
        text.clear();
        match from.by_ref().take(length).read_to_end(&mut text) {
            Ok(read) if read as u64 == length => {}
            _ => return Ok(false),
        }
        let text = std::str::from_utf8(&text).map_err(|_| flaw("its text is not UTF-8"))?;
        match kind {
            RECORD => {
                taken = taken.saturating_add(length);
                if taken > limits.output {
                    return Err(flaw(format!(
                        "it holds over {} of text: split it",
                        size(limits.output)
                    )));
                }
                each(text)?;
            }
            DONE => return Ok(true),
            FLAW => return Err(flaw(text)),
            _ => return Err(flaw("the process that parses it said what is not understood")),
        }
    }
}

/// Why a child ended before its time.
fn why(status: Option<ExitStatus>, waited: bool, complaints: &str, limits: &Limits) -> String {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.and_then(|status| status.signal());
    let xcpu = rustix::process::Signal::XCPU.as_raw();
    let kill = rustix::process::Signal::KILL.as_raw();
    if waited {
        format!(
            "parsing it took over {} seconds and was stopped: it is damaged, or too large and to be split",
            limits.patience
        )
    } else if signal == Some(xcpu) || signal == Some(kill) {
        format!(
            "parsing it took over {} seconds of a processor and was stopped: it is damaged, or too large and to be split",
            limits.seconds
        )
    } else if complaints.contains("memory allocation of") || complaints.contains("capacity overflow") {
        format!(
            "parsing it takes over {} of memory: it is damaged, or too large and to be split",
            size(limits.memory)
        )
    } else if let Some(signal) = signal {
        format!("parsing it crashed (signal {signal}, in a process of its own): it is damaged or hostile")
    } else {
        "the process that parses it ended early: is it this program, and may it limit itself?".into()
    }
}

fn size(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn flaw(what: impl Into<String>) -> Error {
    Error::Parse(what.into())
}
