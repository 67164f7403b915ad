//! Where a runtime keeps what Ethereum sees: which extrinsics carry Ethereum transactions and which events are their
//! logs. Read from the metadata of the runtime that made the block, never from the types this binary was built with, so
//! that blocks before and after a runtime upgrade are both read right.

use codec::{Compact, Decode, Encode};
use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
use pallet_revive::evm::{H160, H256};
use scale_info::{form::PortableForm, PortableRegistry, TypeDef, TypeDefPrimitive};

/// The metadata version this module reads.
pub(crate) const METADATA_VERSION: u32 = 15;
/// The pallet's name in the runtime.
const REVIVE: &str = "Revive";
/// Extrinsic format that is written.
const BARE_V5: u8 = 5;
/// Extrinsic formats of unsigned extrinsics that are read.
const BARE_FORMATS: [u8; 2] = [4, BARE_V5];
/// Depth at which a type is given up as malformed.
const MAX_DEPTH: u32 = 64;

/// Something an Ethereum transaction did, from the block's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EthEvent {
    /// A contract emitted a log.
    Log {
        address: H160,
        topics: Vec<H256>,
        data: Vec<u8>,
    },
    /// The transaction failed or reverted; it is in the block nevertheless.
    Reverted,
}

/// What of one runtime version matters here.
#[derive(Debug)]
pub(crate) struct Layout {
    types: PortableRegistry,
    /// Type of the runtime's event.
    event: u32,
    revive: u8,
    eth_transact: u8,
    contract_emitted: u8,
    eth_revert: u8,
    /// EIP-155 chain id.
    pub(crate) chain_id: u64,
}

impl Layout {
    /// Reads encoded metadata of version [`METADATA_VERSION`].
    pub(crate) fn from_metadata(mut encoded: &[u8]) -> Result<Self, String> {
        let RuntimeMetadataPrefixed(_, metadata) = RuntimeMetadataPrefixed::decode(&mut encoded)
            .map_err(|error| format!("the runtime's metadata cannot be decoded: {error}"))?;
        let RuntimeMetadata::V15(metadata) = metadata else {
            return Err(format!(
                "the runtime's metadata is not of version {METADATA_VERSION}"
            ));
        };
        let pallet = metadata
            .pallets
            .iter()
            .find(|pallet| pallet.name == REVIVE)
            .ok_or_else(|| format!("the runtime has no pallet named {REVIVE}"))?;
        let chain_id = pallet
            .constants
            .iter()
            .find(|constant| constant.name == "ChainId")
            .and_then(|constant| u64::decode(&mut constant.value.as_slice()).ok())
            .ok_or("the runtime's pallet Revive has no constant ChainId")?;
        let calls = pallet
            .calls
            .as_ref()
            .ok_or("the runtime's pallet Revive has no calls")?
            .ty
            .id;
        let events = pallet
            .event
            .as_ref()
            .ok_or("the runtime's pallet Revive has no events")?
            .ty
            .id;
        Self::new(
            metadata.types,
            metadata.outer_enums.event_enum_ty.id,
            pallet.index,
            calls,
            events,
            chain_id,
        )
    }

    /// Looks the variants up and checks that they have the fields that are read here.
    fn new(
        types: PortableRegistry,
        event: u32,
        revive: u8,
        calls: u32,
        events: u32,
        chain_id: u64,
    ) -> Result<Self, String> {
        let eth_transact = variant(&types, calls, "eth_transact", &["payload"])?;
        let contract_emitted = variant(&types, events, "ContractEmitted", &["contract", "data", "topics"])?;
        let eth_revert = variant(&types, events, "EthExtrinsicRevert", &["dispatch_error"])?;
        Ok(Self {
            types,
            event,
            revive,
            eth_transact,
            contract_emitted,
            eth_revert,
            chain_id,
        })
    }

    /// The Ethereum transaction inside an extrinsic (without its length prefix), if it carries one.
    pub(crate) fn eth_payload<'a>(&self, extrinsic: &'a [u8]) -> Option<&'a [u8]> {
        let [format, pallet, call, rest @ ..] = extrinsic else {
            return None;
        };
        if !BARE_FORMATS.contains(format) || (*pallet, *call) != (self.revive, self.eth_transact) {
            return None;
        }
        let mut rest = rest;
        let length = Compact::<u32>::decode(&mut rest).ok()?.0 as usize;
        (rest.len() == length).then_some(rest)
    }

    /// The extrinsic (without its length prefix) that carries an Ethereum transaction.
    pub(crate) fn wrap(&self, payload: &[u8]) -> Vec<u8> {
        let mut extrinsic = vec![BARE_V5, self.revive, self.eth_transact];
        payload.encode_to(&mut extrinsic);
        extrinsic
    }

    /// What Ethereum transactions did, with the index of their extrinsic, from the encoded events of a block.
    pub(crate) fn eth_events(&self, encoded: &[u8]) -> Result<Vec<(u32, EthEvent)>, String> {
        let input = &mut &encoded[..];
        let fail =
            |what: &str, error: codec::Error| format!("event list cannot be decoded at {what}: {error}");
        let count = Compact::<u32>::decode(input)
            .map_err(|e| fail("its length", e))?
            .0;
        let mut found = Vec::new();
        for _ in 0..count {
            let extrinsic = match u8::decode(input).map_err(|e| fail("a phase", e))? {
                0 => Some(u32::decode(input).map_err(|e| fail("a phase", e))?),
                1 | 2 => None,
                other => return Err(format!("event list has an unknown phase {other}")),
            };
            let ours = input.first() == Some(&self.revive);
            match (ours, input.get(1).copied()) {
                (true, Some(index)) if index == self.contract_emitted => {
                    *input = &input[2..];
                    let (address, data, topics) = Decode::decode(input).map_err(|e| fail("a log", e))?;
                    if let Some(extrinsic) = extrinsic {
                        found.push((
                            extrinsic,
                            EthEvent::Log {
                                address,
                                topics,
                                data,
                            },
                        ));
                    }
                }
                (true, Some(index)) if index == self.eth_revert => {
                    self.skip(self.event, input, 0)?;
                    if let Some(extrinsic) = extrinsic {
                        found.push((extrinsic, EthEvent::Reverted));
                    }
                }
                _ => self.skip(self.event, input, 0)?,
            }
            Vec::<H256>::decode(input).map_err(|e| fail("topics", e))?;
        }
        if !input.is_empty() {
            return Err(format!("event list has {} bytes too many", input.len()));
        }
        Ok(found)
    }

    /// Moves `input` behind one value of the type `id`.
    fn skip(&self, id: u32, input: &mut &[u8], depth: u32) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("a type of an event is nested too deeply".into());
        }
        let ty = self
            .types
            .resolve(id)
            .ok_or_else(|| format!("type {id} is not in the metadata"))?;
        match &ty.type_def {
            TypeDef::Composite(composite) => composite
                .fields
                .iter()
                .try_for_each(|field| self.skip(field.ty.id, input, depth + 1)),
            TypeDef::Variant(enumeration) => {
                let index = take(input, 1)?[0];
                let variant = enumeration
                    .variants
                    .iter()
                    .find(|variant| variant.index == index)
                    .ok_or_else(|| format!("type {id} has no variant {index}"))?;
                variant
                    .fields
                    .iter()
                    .try_for_each(|field| self.skip(field.ty.id, input, depth + 1))
            }
            TypeDef::Sequence(sequence) => {
                let length = compact(input)?;
                self.skip_many(sequence.type_param.id, length, input, depth)
            }
            TypeDef::Array(array) => self.skip_many(array.type_param.id, array.len.into(), input, depth),
            TypeDef::Tuple(tuple) => tuple
                .fields
                .iter()
                .try_for_each(|field| self.skip(field.id, input, depth + 1)),
            TypeDef::Primitive(primitive) => match primitive {
                TypeDefPrimitive::Str => {
                    let length = compact(input)?;
                    take(input, length).map(drop)
                }
                fixed => take(input, width(fixed)).map(drop),
            },
            TypeDef::Compact(_) => skip_compact(input),
            TypeDef::BitSequence(bits) => {
                let store = match self.types.resolve(bits.bit_store_type.id).map(|ty| &ty.type_def) {
                    Some(TypeDef::Primitive(primitive)) => width(primitive),
                    _ => return Err("a bit sequence has no integer to store its bits in".into()),
                };
                let length = compact(input)?;
                take(input, length.div_ceil(8 * store as u64) * store as u64).map(drop)
            }
        }
    }

    fn skip_many(&self, id: u32, count: u64, input: &mut &[u8], depth: u32) -> Result<(), String> {
        let def = self.types.resolve(id).map(|ty| &ty.type_def);
        if let Some(TypeDef::Primitive(primitive)) = def {
            if !matches!(primitive, TypeDefPrimitive::Str) {
                let bytes = count
                    .checked_mul(width(primitive) as u64)
                    .ok_or("a sequence is too long")?;
                return take(input, bytes).map(drop);
            }
        }
        // Values without a size would let a length of 2^32 spin here; nothing in an event is a list of them.
        for _ in 0..count {
            if input.is_empty() {
                return Err("a sequence is longer than the event list".into());
            }
            self.skip(id, input, depth + 1)?;
        }
        Ok(())
    }
}

/// Index of the variant `name` of the enum `id`, after checking the names of its fields.
fn variant(types: &PortableRegistry, id: u32, name: &str, fields: &[&str]) -> Result<u8, String> {
    let Some(TypeDef::Variant(enumeration)) = types.resolve(id).map(|ty| &ty.type_def) else {
        return Err(format!("type {id} of the metadata is not an enum"));
    };
    let found = enumeration
        .variants
        .iter()
        .find(|variant| variant.name == name)
        .ok_or_else(|| format!("pallet {REVIVE} of this runtime has no {name}"))?;
    let has: Vec<&str> = found.fields.iter().map(field_name).collect();
    if has != fields {
        return Err(format!(
            "{REVIVE}::{name} has the fields {has:?} and this node reads {fields:?}: update the node"
        ));
    }
    Ok(found.index)
}

fn field_name(field: &scale_info::Field<PortableForm>) -> &str {
    field.name.as_deref().unwrap_or_default()
}

/// Bytes of a fixed-size primitive; a string's are not fixed and never asked for.
fn width(primitive: &TypeDefPrimitive) -> usize {
    use TypeDefPrimitive::*;
    match primitive {
        Bool | U8 | I8 => 1,
        U16 | I16 => 2,
        U32 | I32 | Char => 4,
        U64 | I64 => 8,
        U128 | I128 => 16,
        U256 | I256 => 32,
        Str => 0,
    }
}

fn take<'a>(input: &mut &'a [u8], count: impl TryInto<usize>) -> Result<&'a [u8], String> {
    let count = count.try_into().unwrap_or(usize::MAX);
    let (head, tail) = input.split_at_checked(count).ok_or("an event ends too early")?;
    *input = tail;
    Ok(head)
}

fn compact(input: &mut &[u8]) -> Result<u64, String> {
    Compact::<u64>::decode(input)
        .map(|compact| compact.0)
        .map_err(|error| format!("bad length in an event: {error}"))
}

fn skip_compact(input: &mut &[u8]) -> Result<(), String> {
    let first = take(input, 1)?[0];
    let more = match first & 0b11 {
        0 => 0,
        1 => 1,
        2 => 3,
        _ => usize::from(first >> 2) + 4,
    };
    take(input, more).map(drop)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use scale_info::{meta_type, Registry, TypeInfo};

    #[derive(Encode, TypeInfo)]
    #[allow(dead_code)]
    enum System {
        #[codec(index = 0)]
        Success {
            weight: (Compact<u64>, Compact<u64>),
            class: Option<bool>,
        },
        #[codec(index = 7)]
        Remarked {
            text: String,
            blobs: Vec<Vec<u8>>,
            fixed: [u16; 3],
            deep: Vec<Option<(u128, bool)>>,
        },
    }

    #[derive(Encode, TypeInfo)]
    #[allow(dead_code)]
    enum Revive {
        #[codec(index = 3)]
        ContractEmitted {
            contract: H160,
            data: Vec<u8>,
            topics: Vec<H256>,
        },
        #[codec(index = 4)]
        Instantiated { deployer: H160, contract: H160 },
        #[codec(index = 5)]
        EthExtrinsicRevert { dispatch_error: Result<u8, String> },
    }

    #[derive(Encode, TypeInfo)]
    #[allow(dead_code, non_camel_case_types)]
    enum Calls {
        #[codec(index = 2)]
        eth_transact { payload: Vec<u8> },
    }

    #[derive(Encode, TypeInfo)]
    #[allow(dead_code)]
    enum Event {
        #[codec(index = 0)]
        System(System),
        #[codec(index = 60)]
        Revive(Revive),
    }

    /// A layout whose pallet index is 60 and whose call index is 2, with chain id 161299.
    pub(crate) fn layout() -> Layout {
        let mut registry = Registry::new();
        let event = registry.register_type(&meta_type::<Event>()).id;
        let calls = registry.register_type(&meta_type::<Calls>()).id;
        let events = registry.register_type(&meta_type::<Revive>()).id;
        Layout::new(registry.into(), event, 60, calls, events, 161_299).unwrap()
    }

    /// Encodes events as `frame_system` stores them. `extrinsic` of `None` is the block's own phase.
    fn encode_events(events: Vec<(Option<u32>, Event)>) -> Vec<u8> {
        let mut out = Compact(events.len() as u32).encode();
        for (extrinsic, event) in events {
            match extrinsic {
                Some(index) => {
                    out.push(0);
                    index.encode_to(&mut out);
                }
                None => out.push(1),
            }
            event.encode_to(&mut out);
            vec![H256::repeat_byte(1)].encode_to(&mut out);
        }
        out
    }

    /// The encoded events of a block in which extrinsic 1 emitted `logs` and extrinsic 2 reverted.
    pub(crate) fn sample_events(logs: &[(H160, Vec<H256>, Vec<u8>)]) -> Vec<u8> {
        let mut events = vec![
            (
                None,
                Event::System(System::Success {
                    weight: (Compact(70_000), Compact(1)),
                    class: Some(true),
                }),
            ),
            (
                Some(0),
                Event::System(System::Remarked {
                    text: "héllo".into(),
                    blobs: vec![vec![1; 70], vec![]],
                    fixed: [1, 2, 3],
                    deep: vec![None, Some((u128::MAX, true))],
                }),
            ),
        ];
        for (contract, topics, data) in logs.iter().cloned() {
            events.push((
                Some(1),
                Event::Revive(Revive::ContractEmitted {
                    contract,
                    data,
                    topics,
                }),
            ));
        }
        events.push((
            Some(1),
            Event::Revive(Revive::Instantiated {
                deployer: H160::zero(),
                contract: H160::zero(),
            }),
        ));
        events.push((
            Some(2),
            Event::Revive(Revive::EthExtrinsicRevert {
                dispatch_error: Err("no".into()),
            }),
        ));
        encode_events(events)
    }

    #[test]
    fn eth_events_should_be_found_between_events_of_any_shape() {
        let log = (
            H160::repeat_byte(9),
            vec![H256::repeat_byte(8), H256::repeat_byte(7)],
            vec![1, 2, 3],
        );
        let found = layout()
            .eth_events(&sample_events(&[log.clone(), log.clone()]))
            .unwrap();
        let expected = EthEvent::Log {
            address: log.0,
            topics: log.1,
            data: log.2,
        };
        assert_eq!(
            found,
            [(1, expected.clone()), (1, expected), (2, EthEvent::Reverted)]
        );
    }

    #[test]
    fn eth_events_should_fail_rather_than_lose_a_log_when_cut_or_unknown() {
        let good = sample_events(&[(H160::zero(), vec![], vec![])]);
        assert!(layout().eth_events(&good).is_ok());
        for length in 0..good.len() {
            assert!(
                layout().eth_events(&good[..length]).is_err(),
                "cut at {length} was accepted"
            );
        }
        let mut longer = good.clone();
        longer.push(0);
        assert!(layout().eth_events(&longer).is_err());
        let mut unknown = Compact(1u32).encode();
        unknown.extend([1, 99]);
        assert!(layout().eth_events(&unknown).unwrap_err().contains("variant 99"));
    }

    #[test]
    fn wrap_should_be_undone_by_eth_payload() {
        let layout = layout();
        for payload in [vec![], vec![2u8; 63], vec![3; 64], vec![4; 70_000]] {
            let extrinsic = layout.wrap(&payload);
            assert_eq!(layout.eth_payload(&extrinsic), Some(&payload[..]));
            let mut legacy = extrinsic.clone();
            legacy[0] = 4;
            assert_eq!(layout.eth_payload(&legacy), Some(&payload[..]));
        }
    }

    #[test]
    fn eth_payload_should_not_be_seen_in_other_extrinsics() {
        let layout = layout();
        let good = layout.wrap(b"payload");
        for (at, value) in [(0, 0x84), (0, 0x45), (1, 61), (2, 3)] {
            let mut other = good.clone();
            other[at] = value;
            assert_eq!(layout.eth_payload(&other), None, "byte {at} = {value}");
        }
        assert_eq!(layout.eth_payload(&good[..good.len() - 1]), None);
        assert_eq!(layout.eth_payload(&[]), None);
    }

    #[test]
    fn layout_should_refuse_a_runtime_whose_log_event_looks_different() {
        #[derive(TypeInfo)]
        #[allow(dead_code)]
        enum Changed {
            ContractEmitted {
                contract: H160,
                topics: Vec<H256>,
                data: Vec<u8>,
            },
        }
        let mut registry = Registry::new();
        let calls = registry.register_type(&meta_type::<Calls>()).id;
        let events = registry.register_type(&meta_type::<Changed>()).id;
        let error = Layout::new(registry.into(), events, 60, calls, events, 1).unwrap_err();
        assert!(
            error.contains("ContractEmitted") && error.contains("update the node"),
            "{error}"
        );
    }
}
