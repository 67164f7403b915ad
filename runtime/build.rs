//! Builds the runtime's wasm when the native build does.

fn main() {
    println!("cargo:rerun-if-env-changed=OPENLEDGER_NEXT");
    println!("cargo:rustc-check-cfg=cfg(openledger_next)");
    if std::env::var_os("OPENLEDGER_NEXT").is_some() {
        println!("cargo:rustc-cfg=openledger_next");
    }
    #[cfg(feature = "std")]
    wasm();
}

#[cfg(feature = "std")]
fn wasm() {
    let builder = substrate_wasm_builder::WasmBuilder::init_with_defaults();
    #[cfg(feature = "metadata-hash")]
    let builder = builder.enable_metadata_hash("OPEN", 18);
    builder.build();
}
