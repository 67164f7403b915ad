//! How fast files are taken in and given out, beside what the machine's disk and processor allow, and in how much
//! memory: `make bench-content`. Sizes are 1, 4 and 16 times 128 MiB; `bench-content DIR [MIB]` has other ones.
//!
//! The limits are measured in the same run, on the same file: writing is held against `dd` with `conv=fsync`, reading
//! against one thread that reads the file and hashes it, nothing else.

use openledger_content::{Cid, Store, LEAF};
use std::{
    fs::{self, File},
    io::{BufWriter, Read, Write},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ingest", store, file] => {
            let store = Store::open(Path::new(store))?;
            let from = Instant::now();
            let made = store.ingest(File::open(file)?)?;
            report(&made.cid, from)
        }
        ["read", store, cid] => {
            let store = Store::open(Path::new(store))?;
            let from = Instant::now();
            let cid = cid.parse()?;
            store.file(&cid)?.copy_to(&mut std::io::sink())?;
            report(&cid, from)
        }
        ["hash", file] => {
            let from = Instant::now();
            let mut file = File::open(file)?;
            let (mut leaf, mut last) = (Vec::with_capacity(LEAF), Cid::of(b""));
            loop {
                leaf.clear();
                if Read::by_ref(&mut file).take(LEAF as u64).read_to_end(&mut leaf)? == 0 {
                    break;
                }
                last = Cid::of(&leaf);
            }
            report(&last, from)
        }
        [dir] => bench(Path::new(dir), 128),
        [dir, mebibytes] => bench(Path::new(dir), mebibytes.parse()?),
        _ => Err("usage: bench-content DIR [MIB]".into()),
    }
}

/// What a child tells: the CID, seconds, and the most memory it ever had.
fn report(cid: &Cid, from: Instant) -> Result<(), Failed> {
    let seconds = from.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!(
        "{cid} {seconds} {}",
        peak.unwrap_or("0").trim().trim_end_matches(" kB")
    );
    Ok(())
}

/// Runs this program again; gives the CID, seconds and MiB.
fn apart(words: &[&str]) -> Result<(String, f64, f64), Failed> {
    let out = Command::new(std::env::current_exe()?)
        .args(words)
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(out.stdout)?;
    let mut words = text.split_whitespace();
    let mut next = || words.next().ok_or("a run failed; its message is above");
    Ok((next()?.into(), next()?.parse()?, next()?.parse::<f64>()? / 1024.0))
}

fn timed(command: &mut Command) -> Result<f64, Failed> {
    let from = Instant::now();
    let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !done.success() {
        return Err(format!("{command:?} failed").into());
    }
    Ok(from.elapsed().as_secs_f64())
}

fn bench(dir: &Path, mebibytes: u64) -> Result<(), Failed> {
    fs::create_dir_all(dir)?;
    let work = tempfile::tempdir_in(dir)?;
    let path = |name: &str| work.path().join(name).display().to_string();
    println!("size | ingest, MB/s | dd conv=fsync | ingest / dd | read, MB/s | hash | read / hash | peak MiB, in and out");
    for times in [1, 4, 16] {
        let (file, copy, store) = (path("file"), path("copy"), path("store"));
        let size = (times * mebibytes) << 20;
        let mut state = times;
        let mut out = BufWriter::new(File::create(&file)?);
        for _ in 0..size / 8 {
            // A generator of Marsaglia's: nothing in it compresses or repeats.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            out.write_all(&state.to_le_bytes())?;
        }
        out.into_inner()?.sync_all()?;
        let rate = |seconds: f64| size as f64 / 1e6 / seconds;
        // Before and after, and the better one counts: other programs may run.
        let mut disk = 0.0f64;
        let mut hash = 0.0f64;
        let mut limits = || -> Result<(), Failed> {
            let mut dd = Command::new("dd");
            dd.args([
                &format!("if={file}"),
                &format!("of={copy}"),
                "bs=1M",
                "conv=fsync",
            ]);
            disk = disk.max(rate(timed(&mut dd)?));
            fs::remove_file(&copy)?;
            hash = hash.max(rate(apart(&["hash", &file])?.1));
            Ok(())
        };
        limits()?;
        let (cid, seconds, memory_in) = apart(&["ingest", &store, &file])?;
        let ingest = rate(seconds);
        let (_, seconds, memory_out) = apart(&["read", &store, &cid])?;
        let read = rate(seconds);
        limits()?;
        println!(
            "{} MiB | {ingest:.0} | {disk:.0} | {:.2} | {read:.0} | {hash:.0} | {:.2} | {memory_in:.0}, {memory_out:.0}",
            size >> 20,
            ingest / disk,
            read / hash,
        );
        fs::remove_dir_all(&store)?;
        fs::remove_file(&file)?;
    }
    Ok(())
}
