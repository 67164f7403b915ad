//! Suffix arrays by libsais, one thread each.
//!
//! Suffixes are sorted to their ends, which sorts them on their first tokens too; one that ends comes before
//! one that goes on.

use crate::codes::Code;
use libsais::SuffixArrayConstruction;

/// The suffix array of a text of less than 2^31 codes.
pub(crate) fn sort<C: Code>(text: &[C]) -> Result<Vec<i32>, String> {
    if let Ok(bytes) = bytemuck::try_cast_slice::<C, u8>(text) {
        if size_of::<C>() == 1 {
            let sorted = SuffixArrayConstruction::for_text(bytes)
                .in_owned_buffer32()
                .single_threaded()
                .run();
            return sorted.map(|sorted| sorted.into_vec()).map_err(said);
        }
    }
    if size_of::<C>() == 2 {
        if let Ok(words) = bytemuck::try_cast_slice::<C, u16>(text) {
            let sorted = SuffixArrayConstruction::for_text(words)
                .in_owned_buffer32()
                .single_threaded()
                .run();
            return sorted.map(|sorted| sorted.into_vec()).map_err(said);
        }
    }
    // Codes are dense, so the alphabet is no larger than the text.
    let mut wide: Vec<i32> = text.iter().map(|code| code.wide() as i32).collect();
    let sorted = SuffixArrayConstruction::for_text_mut(&mut wide)
        .in_owned_buffer32()
        .single_threaded()
        .run();
    sorted.map(|sorted| sorted.into_vec()).map_err(said)
}

fn said(error: libsais::LibsaisError) -> String {
    format!("{error}: free memory or make shards smaller")
}
