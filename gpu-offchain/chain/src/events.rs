//! What blocks and transactions did.

use crate::{Block, Chain, Error, Result};
use codec::{Decode, DecodeAll};
use openledger_protocol::Hash;
use subxt::{error::DispatchError, events::Phase, utils::H256};

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The pallet.
    pub pallet: String,
    /// Its name.
    pub name: String,
    /// Its fields, in SCALE, one after another.
    pub fields: Vec<u8>,
    /// The extrinsic of the block that made it; none for what the block itself did.
    pub extrinsic: Option<u32>,
}

impl Event {
    /// The fields as a tuple of their types. Fails if bytes are left over.
    pub fn decode<T: Decode>(&self) -> Result<T> {
        T::decode_all(&mut self.fields.as_slice()).map_err(|e| Error::Decode {
            what: format!("the event {}::{}", self.pallet, self.name),
            reason: e.to_string(),
        })
    }

    /// Whether it is this event of this pallet.
    pub fn is(&self, pallet: &str, name: &str) -> bool {
        self.pallet == pallet && self.name == name
    }
}

/// A transaction in a block that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// The block.
    pub block: Block,
    /// Position of the transaction in it.
    pub index: u32,
    /// Hash of the transaction.
    pub hash: Hash,
    /// What it did.
    pub events: Vec<Event>,
}

impl Included {
    /// The first event of this name, or the error that there is none.
    pub fn event(&self, pallet: &str, name: &str) -> Result<&Event> {
        self.events
            .iter()
            .find(|event| event.is(pallet, name))
            .ok_or_else(|| Error::NoEvent {
                pallet: pallet.into(),
                name: name.into(),
                block: self.block,
            })
    }
}

impl Chain {
    /// All events of a block, in order.
    pub async fn events(&self, block: Block) -> Result<Vec<Event>> {
        Ok(self.events_and_failures(block).await?.0)
    }

    /// The events of the transaction at `index` of a block, or the error it failed with.
    pub(crate) async fn outcome(&self, block: Block, index: u32) -> Result<Vec<Event>> {
        let (events, failures) = self.events_and_failures(block).await?;
        if let Some((_, error)) = failures.into_iter().find(|(extrinsic, _)| *extrinsic == index) {
            return Err(error);
        }
        Ok(events
            .into_iter()
            .filter(|event| event.extrinsic == Some(index))
            .collect())
    }

    async fn events_and_failures(&self, block: Block) -> Result<(Vec<Event>, Vec<(u32, Error)>)> {
        let at = self
            .inner
            .client
            .at_block_hash_and_number(H256(block.hash), block.number.into())
            .await
            .map_err(|e| self.unreachable(e))?;
        let raw = at.events().fetch().await.map_err(|e| self.unreachable(e))?;
        let (mut events, mut failures) = (Vec::new(), Vec::new());
        for event in raw.iter() {
            let event = event.map_err(|e| Error::Decode {
                what: format!("an event of block {block}"),
                reason: e.to_string(),
            })?;
            let extrinsic = match event.phase() {
                Phase::ApplyExtrinsic(index) => Some(index),
                Phase::Initialization | Phase::Finalization => None,
            };
            let own = Event {
                pallet: event.pallet_name().into(),
                name: event.event_name().into(),
                fields: event.field_bytes().to_vec(),
                extrinsic,
            };
            if let (true, Some(index)) = (own.is("System", "ExtrinsicFailed"), extrinsic) {
                let error = DispatchError::decode_from(event.field_bytes(), at.metadata());
                failures.push((index, dispatch_error(block, error)));
            }
            events.push(own);
        }
        Ok((events, failures))
    }
}

/// A dispatch error by its name in the runtime, with its documentation.
fn dispatch_error<E: std::fmt::Display>(block: Block, error: Result<DispatchError, E>) -> Error {
    let (pallet, error, docs) = match error {
        Ok(DispatchError::Module(module)) => match module.details() {
            Ok(details) => (
                details.pallet.name().to_owned(),
                details.variant.name.clone(),
                details.variant.docs.join(" ").trim().to_owned(),
            ),
            Err(e) => ("pallet".into(), format!("{:?}", module.bytes()), e.to_string()),
        },
        Ok(DispatchError::Token(token)) => ("Token".into(), format!("{token:?}"), token.to_string()),
        Ok(DispatchError::Arithmetic(e)) => ("Arithmetic".into(), format!("{e:?}"), e.to_string()),
        Ok(other) => ("Dispatch".into(), format!("{other:?}"), other.to_string()),
        Err(e) => ("Dispatch".into(), "unknown".into(), e.to_string()),
    };
    Error::Dispatch {
        pallet,
        error,
        docs,
        block,
    }
}
