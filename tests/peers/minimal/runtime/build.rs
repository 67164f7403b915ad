//! Builds the runtime's wasm when the native build does.

fn main() {
    #[cfg(feature = "std")]
    substrate_wasm_builder::WasmBuilder::init_with_defaults().build();
}
