//! Calls that are bytes already.

use crate::{Error, Result};
use subxt::{
    ext::{
        scale_encode::{EncodeAsFields, Error as EncodeError},
        scale_type_resolver::{FieldIter, TypeResolver},
    },
    metadata::Metadata,
    tx::Payload,
};

/// A call of `openledger_protocol::calls`: subxt wraps and signs it, and encodes nothing.
pub(crate) struct RawCall {
    pallet: String,
    call: String,
    arguments: Arguments,
}

/// The bytes behind the two indices.
pub(crate) struct Arguments(Vec<u8>);

impl RawCall {
    /// Names the call as the runtime does. Fails if the runtime has no such call.
    pub(crate) fn new(call: &[u8], metadata: &Metadata) -> Result<Self> {
        let [pallet, index, arguments @ ..] = call else {
            return Err(Error::Call {
                reason: format!("{} bytes are no call", call.len()),
            });
        };
        let error = |reason| Error::Call { reason };
        let pallet = metadata
            .pallet_by_call_index(*pallet)
            .ok_or_else(|| error(format!("it has no pallet {pallet}")))?;
        let variant = pallet
            .call_variant_by_index(*index)
            .ok_or_else(|| error(format!("its pallet {} has no call {index}", pallet.name())))?;
        Ok(Self {
            pallet: pallet.name().into(),
            call: variant.name.clone(),
            arguments: Arguments(arguments.to_vec()),
        })
    }
}

impl EncodeAsFields for Arguments {
    fn encode_as_fields_to<R: TypeResolver>(
        &self,
        _: &mut dyn FieldIter<'_, R::TypeId>,
        _: &R,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}

impl Payload for RawCall {
    type CallData = Arguments;

    fn pallet_name(&self) -> &str {
        &self.pallet
    }

    fn call_name(&self) -> &str {
        &self.call
    }

    fn call_data(&self) -> &Arguments {
        &self.arguments
    }
}
