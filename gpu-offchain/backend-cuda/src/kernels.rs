//! The kernels: their sources, compiled by NVRTC for the device at hand and kept as cubins.

use std::collections::HashMap;
use std::ffi::{c_char, CString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaFunction};
use cudarc::nvrtc::{result, sys, Ptx};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const COMMON: &str = include_str!("../kernels/common.cuh");

/// A source file and the kernels in it. A name that ends in `_D` stands for heads of 32, 64 and 128.
struct Source {
    file: &'static str,
    text: &'static str,
    kernels: &'static [&'static str],
}

macro_rules! source {
    ($file:literal, $($kernel:literal),* $(,)?) => {
        Source { file: $file, text: include_str!(concat!("../kernels/", $file, ".cu")), kernels: &[$($kernel),*] }
    };
}

const SOURCES: [Source; 7] = [
    source!(
        "rows",
        "gather_f32",
        "gather_bf16",
        "scatter_add",
        "add",
        "add_bias",
        "add_bias_backward",
        "to_bf16",
        "to_f32",
        "rmsnorm",
        "rmsnorm_backward",
        "rmsnorm_backward_weight",
        "silu_mul",
        "silu_mul_backward",
        "rope_kv",
        "rope_backward",
    ),
    source!(
        "attention",
        "attend_1",
        "attend_2",
        "attend_4",
        "attend_8",
        "attend_join"
    ),
    source!(
        "flash",
        "flash_mean",
        "flash_32",
        "flash_64",
        "flash_128",
        "flash_queries_32",
        "flash_queries_64",
        "flash_queries_128",
        "flash_keys_32",
        "flash_keys_64",
        "flash_keys_128",
    ),
    source!(
        "gemm",
        "gemm_forward_f32",
        "gemm_input_f32",
        "gemm_weight_f32",
        "gemm_few_f32",
        "gemm_join",
        "gemm_few_bf16_16",
        "gemm_few_bf16_64",
        "gemm_forward_bf16",
        "gemm_input_bf16",
        "gemm_few_w8_16",
        "gemm_few_w8_64",
        "gemm_join_w8",
        "gemm_forward_w8",
        "from_w8",
    ),
    source!(
        "lora",
        "lora_shrink_f32",
        "lora_shrink_bf16",
        "lora_expand_f32",
        "lora_expand_bf16"
    ),
    source!("choose", "cross_entropy", "sample", "adamw", "sum_squares"),
    source!("score", "dots", "dots_odd"),
];

/// The compiler's options beside the architecture; scripts/cuda-kernels.py uses the same.
const OPTIONS: [&str; 2] = ["--std=c++17", "--fmad=false"];

/// The hash of all sources and options: receipts name it.
pub fn source_hash() -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(COMMON);
    for source in &SOURCES {
        hash.update(source.text);
    }
    for option in OPTIONS {
        hash.update(option);
    }
    hash.finalize().into()
}

/// NVRTC's version, as `13.0`.
pub(crate) fn compiler() -> Result<String> {
    // SAFETY: looks for a library and calls nothing in it.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::Absent("libnvrtc"));
    }
    let (mut major, mut minor) = (0, 0);
    // SAFETY: two valid places to write to.
    unsafe { sys::nvrtcVersion(&mut major, &mut minor) };
    Ok(format!("{major}.{minor}"))
}

/// Where cubins are kept unless another folder is named.
pub(crate) fn default_cache() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join("openledger").join("cubin"))
}

/// All kernels, loaded. Files that are not in the cache are compiled side by side.
pub(crate) fn load(
    ctx: &Arc<CudaContext>,
    arch: &str,
    version: &str,
    cache: Option<&Path>,
) -> Result<HashMap<&'static str, CudaFunction>> {
    let images: Vec<Result<Vec<u8>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = SOURCES
            .iter()
            .map(|source| scope.spawn(move || image(source, arch, version, cache)))
            .collect();
        threads
            .into_iter()
            .zip(&SOURCES)
            .map(|(thread, source)| {
                thread.join().unwrap_or_else(|_| {
                    Err(Error::Kernel {
                        file: source.file,
                        arch: arch.to_owned(),
                        why: "the compiler's thread broke off".into(),
                    })
                })
            })
            .collect()
    });
    let mut functions = HashMap::new();
    for (source, image) in SOURCES.iter().zip(images) {
        let fail = |why: String| Error::Kernel {
            file: source.file,
            arch: arch.to_owned(),
            why,
        };
        let module = ctx
            .load_module(Ptx::from_binary(image?))
            .map_err(|e| fail(format!("{:?}", e.0)))?;
        for name in source.kernels {
            let function = module
                .load_function(name)
                .map_err(|e| fail(format!("{name}: {:?}", e.0)))?;
            functions.insert(*name, function);
        }
    }
    Ok(functions)
}

/// A file's cubin, from the cache or the compiler.
fn image(source: &Source, arch: &str, version: &str, cache: Option<&Path>) -> Result<Vec<u8>> {
    let mut hash = Sha256::new();
    for part in [COMMON, source.text, arch, version].iter().chain(OPTIONS.iter()) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = cache.map(|cache| cache.join(format!("{}-{arch}-{name}.cubin", source.file)));
    if let Some(kept) = path.as_ref().and_then(|path| std::fs::read(path).ok()) {
        return Ok(kept);
    }
    let image = compile(source, arch).map_err(|why| Error::Kernel {
        file: source.file,
        arch: arch.to_owned(),
        why,
    })?;
    // A cache that cannot be written to costs time at the next start and nothing else.
    if let Some(path) = path {
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let _ = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&part, &image))
            .and_then(|()| std::fs::rename(&part, &path));
    }
    Ok(image)
}

fn compile(source: &Source, arch: &str) -> std::result::Result<Vec<u8>, String> {
    let text = CString::new(format!("{COMMON}{}", source.text)).map_err(|_| "a zero byte in the source")?;
    let name = CString::new(format!("{}.cu", source.file)).map_err(|_| "a zero byte in the name")?;
    let program = result::create_program(&text, Some(&name)).map_err(|e| format!("{:?}", e.0))?;
    let mut options: Vec<String> = OPTIONS.iter().map(|option| option.to_string()).collect();
    options.push(format!("--gpu-architecture={arch}"));
    // SAFETY: the program was made above and is destroyed once, below; sizes come from NVRTC itself.
    unsafe {
        let mut out = Vec::new();
        let done = result::compile_program(program, &options);
        let answer = match done {
            Ok(()) => {
                let mut size = 0;
                let sized = sys::nvrtcGetCUBINSize(program, &mut size).result();
                out.resize(size, 0_u8);
                sized
                    .and_then(|()| sys::nvrtcGetCUBIN(program, out.as_mut_ptr().cast::<c_char>()).result())
                    .map_err(|e| format!("{:?}", e.0))
            }
            Err(error) => {
                let log = result::get_program_log(program).unwrap_or_default();
                let log: Vec<u8> = log.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
                let log = String::from_utf8_lossy(&log);
                let first = log.lines().find(|line| line.contains("error")).unwrap_or("");
                Err(format!("{:?} {first}", error.0))
            }
        };
        let _ = result::destroy_program(program);
        answer.map(|()| out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_should_be_listed_with_its_file() {
        for source in &SOURCES {
            let mut found: Vec<String> = Vec::new();
            for line in source.text.lines() {
                let line = line.trim_end_matches('\\').trim();
                if line.starts_with("#define") {
                    continue;
                }
                let name = match line.strip_prefix("KERNEL ") {
                    Some(rest) => rest.split('(').find_map(|part| {
                        let word = part.rsplit([' ', ')']).next().unwrap_or("");
                        (!word.is_empty() && word != "__launch_bounds__").then_some(word)
                    }),
                    None => line
                        .strip_prefix("TILED(")
                        .and_then(|rest| rest.split(',').next()),
                };
                let widths: &[&str] = match source.file {
                    "flash" => &["32", "64", "128"],
                    _ => &["1", "2", "4", "8"],
                };
                let Some(name) = name else { continue };
                match name.strip_suffix("##D").or_else(|| name.strip_suffix("##G")) {
                    Some(stem) => found.extend(widths.iter().map(|width| format!("{stem}{width}"))),
                    None if name != "NAME" => found.push(name.to_owned()),
                    None => {}
                }
            }
            let mut listed: Vec<String> = source.kernels.iter().map(|name| name.to_string()).collect();
            found.sort();
            listed.sort();
            assert_eq!(found, listed, "{}.cu", source.file);
        }
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/kernels")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| name.ends_with(".cu")).count(), SOURCES.len());
    }

    /// All files for all architectures are scripts/cuda-kernels.sh's; this is the program's own way to a cubin and its cache.
    #[test]
    fn a_cubin_should_be_made_once_where_there_is_a_compiler() {
        let Ok(version) = compiler() else {
            eprintln!("skipped: no NVRTC here; set LD_LIBRARY_PATH to the wheel's folder");
            return;
        };
        let source = SOURCES.iter().find(|source| source.file == "score").unwrap();
        let dir = std::env::temp_dir().join(format!("openledger-cubin-{}", std::process::id()));
        let first = image(source, "sm_90", &version, Some(&dir)).unwrap();
        assert!(first.starts_with(b"\x7fELF"));
        let kept: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert_eq!(kept.len(), 1);
        std::fs::write(&kept[0], b"kept").unwrap();
        assert_eq!(image(source, "sm_90", &version, Some(&dir)).unwrap(), b"kept");
        let wrong = compile(source, "sm_1").unwrap_err();
        assert_eq!(wrong.lines().count(), 1, "{wrong}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
