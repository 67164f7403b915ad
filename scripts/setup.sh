#!/usr/bin/env bash
# Installs what a build of OpenLedger needs on a Debian or Ubuntu machine: compilers, libraries, the wasm32v1-none target.
# Safe to run again: what is there is left alone. Needs rustup's stable toolchain, and root or sudo for packages.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\033[1msetup:\033[0m %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || die "this script sets up 64-bit x86 Linux only; see docs/building.md for the packages to install elsewhere."
command -v cargo >/dev/null || die "cargo is not installed. Install Rust from https://rustup.rs (stable), then run this again."

sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"

# package:file-that-shows-it-is-there
need=()
want() { [ -e "$2" ] || need+=("$1"); }
want gcc /usr/bin/gcc
want g++ /usr/bin/g++
want make /usr/bin/make
want git /usr/bin/git
want protobuf-compiler /usr/bin/protoc
want clang /usr/bin/clang
want lld /usr/bin/ld.lld
want cmake /usr/bin/cmake
want pkg-config /usr/bin/pkg-config
want libssl-dev /usr/include/openssl/ssl.h
want binaryen /usr/bin/wasm-opt
want jq /usr/bin/jq
want zstd /usr/bin/zstd
compgen -G "/usr/lib/llvm-*/lib/libclang.so*" >/dev/null || need+=(libclang-dev)
compgen -G "/usr/lib/python3*/ensurepip/__init__.py" >/dev/null || need+=(python3-venv)
command -v node >/dev/null || need+=(nodejs npm)

install_packages() {
    command -v apt-get >/dev/null || die "apt-get is missing; install these by hand: $*"
    say "installing $* …"
    local log; log=$(mktemp)
    # Package mirrors answer badly now and then: three tries.
    for try in 1 2 3; do
        if $sudo apt-get update -qq >"$log" 2>&1 &&
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1; then
            rm -f "$log"; return 0
        fi
        say "apt-get failed (try $try of 3)"
        sleep $((try * 5))
    done
    tail -n 20 "$log" >&2
    die "apt-get could not install $*; its messages are above."
}
[ ${#need[@]} = 0 ] || install_packages "${need[@]}"

cargo nextest --version >/dev/null 2>&1 || { say "installing cargo-nextest (several minutes) …"; cargo install --locked cargo-nextest >&2; }

# --- the wasm32v1-none target -----------------------------------------------------------------------------------------
# With rustup's server in reach this is one command. Where it is not, the distribution ships the same compiler with its
# library source: build core and alloc from that, once, and let substrate-wasm-builder use that compiler for the wasm.
env_file="${OPENLEDGER_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/openledger/env}"
mkdir -p "$(dirname "$env_file")"
sysroot=$(rustc --print sysroot)
if [ -d "$sysroot/lib/rustlib/wasm32v1-none" ] || timeout 60 rustup target add wasm32v1-none >/dev/null 2>&1; then
    : >"$env_file"
else
    lib=/usr/lib/rustlib/wasm32v1-none/lib
    if ! [ -x /usr/bin/rustc ] || ! [ -d /usr/lib/rustlib/src ] ; then
        say "rustup cannot add wasm32v1-none; using the distribution's compiler"
        install_packages rustc-web rust-web-src
    fi
    rustup toolchain link debian /usr
    stamp="$lib/.built-by-$(/usr/bin/rustc --version | tr ' ()' '___')"
    if ! [ -e "$stamp" ]; then
        say "building core and alloc for wasm32v1-none (half a minute) …"
        work=$(mktemp -d)
        mkdir -p "$work/src"
        printf '[package]\nname = "std-probe"\nversion = "0.0.0"\nedition = "2021"\n[lib]\ncrate-type = ["cdylib"]\n[profile.release]\npanic = "abort"\n' >"$work/Cargo.toml"
        printf '#![no_std]\nextern crate alloc;\n#[panic_handler]\nfn p(_: &core::panic::PanicInfo) -> ! { loop {} }\nstruct A;\nunsafe impl core::alloc::GlobalAlloc for A {\n    unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 { core::ptr::null_mut() }\n    unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}\n}\n#[global_allocator]\nstatic G: A = A;\n' >"$work/src/lib.rs"
        (cd "$work" && env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS="-C embed-bitcode=yes" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/target" \
            CARGO_TARGET_WASM32V1_NONE_LINKER="$sysroot/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld" \
            cargo +debian build --release --target wasm32v1-none -Z build-std=core,alloc >"$work/log" 2>&1) ||
            { tail -n 20 "$work/log" >&2; die "building core for wasm32v1-none failed; messages above."; }
        $sudo mkdir -p "$lib"
        $sudo rm -f "$lib"/*.rlib "$lib"/.built-by-*
        for c in core alloc compiler_builtins; do $sudo cp "$work"/target/wasm32v1-none/release/deps/lib$c-*.rlib "$lib/"; done
        $sudo touch "$stamp"
        # wasm objects made against other libraries do not link with these.
        rm -rf "${CARGO_TARGET_DIR:-$HOME/.cache/openledger/target}"/*/wbuild
        rm -rf "$work"
    fi
    cat >"$env_file" <<EOF
export WASM_BUILD_TOOLCHAIN=debian
export CARGO_TARGET_WASM32V1_NONE_LINKER=$sysroot/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld
EOF
fi
say "ready"
