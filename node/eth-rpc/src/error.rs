//! What can go wrong: when starting (a line for whoever starts the node) and when answering a call (a JSON-RPC error
//! with the codes and texts Ethereum clients know).

use jsonrpsee::types::{
    error::{CALL_EXECUTION_FAILED_CODE, INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE},
    ErrorObjectOwned,
};
use pallet_revive::{
    evm::{H256, U256},
    EthTransactError,
};
use std::{fmt, net::SocketAddr, path::PathBuf};

/// Code of a refused request that is larger than this node answers.
pub(crate) const LIMIT_EXCEEDED: i32 = -32005;
/// Code of a call that reverted; the revert data is in `data`.
pub(crate) const REVERTED: i32 = 3;

/// Why the Ethereum RPC did not start. The text is one line that names the value at fault and the remedy.
#[derive(Debug)]
pub enum Error {
    /// The address could not be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The index could not be opened.
    Index {
        /// Its directory.
        dir: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The index in the directory was made from another chain.
    OtherChain {
        /// The directory.
        dir: PathBuf,
        /// Genesis hash the index was made from.
        stored: H256,
        /// Genesis hash of this node's chain.
        node: H256,
    },
    /// A browser origin is not one.
    Origin(String),
    /// The node's chain could not be read.
    Chain(String),
    /// A metric could not be registered.
    Metrics(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, cause } => write!(
                f,
                "the Ethereum JSON-RPC cannot listen on {address}: {cause}; free port {} or choose another with \
                 --eth-rpc-port",
                address.port()
            ),
            Self::Index { dir, problem } => write!(
                f,
                "the Ethereum index in {} cannot be used: {problem}; if the disk is well, delete that directory and it is \
                 rebuilt from the chain",
                dir.display()
            ),
            Self::OtherChain { dir, stored, node } => write!(
                f,
                "the Ethereum index in {} belongs to the chain with genesis {stored:?} and this node's genesis is \
                 {node:?}; choose another --base-path or delete that directory, it is rebuilt from the chain",
                dir.display()
            ),
            Self::Origin(origin) => write!(
                f,
                "\"{origin}\" is no browser origin for --eth-rpc-cors; give for example https://app.example.org, or all"
            ),
            Self::Chain(problem) => write!(f, "the Ethereum JSON-RPC cannot read the chain: {problem}"),
            Self::Metrics(problem) => write!(f, "the metrics of the Ethereum JSON-RPC cannot be registered: {problem}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// A call's error, as it goes back to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallError {
    code: i32,
    message: String,
    data: Option<String>,
}

impl CallError {
    /// The call is well formed and cannot be answered with a result.
    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self {
            code: CALL_EXECUTION_FAILED_CODE,
            message: message.into(),
            data: None,
        }
    }

    /// The parameters make no sense.
    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self {
            code: INVALID_PARAMS_CODE,
            message: message.into(),
            data: None,
        }
    }

    /// The answer would be larger than this node gives.
    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self {
            code: LIMIT_EXCEEDED,
            message: message.into(),
            data: None,
        }
    }

    /// The node failed, not the caller.
    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self {
            code: INTERNAL_ERROR_CODE,
            message: message.to_string(),
            data: None,
        }
    }

    /// The block is not on this chain, or not yet.
    pub(crate) fn unknown_block() -> Self {
        Self::server("header not found")
    }

    /// The state of block `number` was pruned.
    pub(crate) fn pruned(number: u32) -> Self {
        Self::server(format!(
            "the state of block {number} is not on this node (pruned, or never downloaded); ask a node that runs with \
             --state-pruning archive"
        ))
    }
}

impl From<EthTransactError> for CallError {
    fn from(error: EthTransactError) -> Self {
        match error {
            EthTransactError::Data(data) => {
                let message = match revert_reason(&data) {
                    Some(reason) => format!("execution reverted: {reason}"),
                    None => "execution reverted".into(),
                };
                let data = data
                    .iter()
                    .fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"));
                Self {
                    code: REVERTED,
                    message,
                    data: Some(data),
                }
            }
            EthTransactError::Message(message) if message.contains("OutOfGas") => {
                Self::server(format!("out of gas: {message}"))
            }
            EthTransactError::Message(message) => Self::server(message),
        }
    }
}

impl From<CallError> for ErrorObjectOwned {
    fn from(error: CallError) -> Self {
        Self::owned(error.code, error.message, error.data)
    }
}

impl From<rusqlite::Error> for CallError {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(format!("the Ethereum index failed: {error}"))
    }
}

/// The reason Solidity put into revert data: the text of `Error(string)` or the meaning of `Panic(uint256)`.
fn revert_reason(data: &[u8]) -> Option<String> {
    let (selector, arguments) = data.split_at_checked(4)?;
    let word = |at: usize| arguments.get(at..at.checked_add(32)?).map(U256::from_big_endian);
    match selector {
        [0x08, 0xc3, 0x79, 0xa0] => {
            let offset = usize::try_from(word(0)?).ok()?;
            let length = usize::try_from(word(offset)?).ok()?;
            let start = offset.checked_add(32)?;
            let text = arguments.get(start..start.checked_add(length)?)?;
            Some(String::from_utf8_lossy(text).into_owned())
        }
        [0x4e, 0x48, 0x7b, 0x71] => {
            let code = u64::try_from(word(0)?).ok()?;
            Some(match code {
                0x00 => "generic panic".into(),
                0x01 => "assert(false)".into(),
                0x11 => "arithmetic underflow or overflow".into(),
                0x12 => "division or modulo by zero".into(),
                0x21 => "enum overflow".into(),
                0x22 => "invalid encoded storage byte array accessed".into(),
                0x31 => "out-of-bounds array access; popping on an empty array".into(),
                0x32 => "out-of-bounds access of an array or bytesN".into(),
                0x41 => "out of memory".into(),
                0x51 => "uninitialized function".into(),
                other => format!("unknown panic code: {other:#x}"),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abi_word(value: u64) -> [u8; 32] {
        U256::from(value).to_big_endian()
    }

    fn error_string(text: &str) -> Vec<u8> {
        let mut data = vec![0x08, 0xc3, 0x79, 0xa0];
        data.extend(abi_word(32));
        data.extend(abi_word(text.len() as u64));
        data.extend(text.as_bytes());
        data.resize(data.len().next_multiple_of(32) + 4, 0);
        data
    }

    #[test]
    fn revert_should_carry_code_3_the_reason_and_the_data() {
        let data = error_string("not the owner");
        let object = ErrorObjectOwned::from(CallError::from(EthTransactError::Data(data.clone())));
        assert_eq!(object.code(), 3);
        assert_eq!(object.message(), "execution reverted: not the owner");
        let sent: String = serde_json::from_str(object.data().unwrap().get()).unwrap();
        assert!(sent.starts_with("0x08c379a0"));
        assert_eq!(sent.len(), 2 + 2 * data.len());
    }

    #[test]
    fn revert_without_a_reason_should_still_carry_its_data() {
        let object = ErrorObjectOwned::from(CallError::from(EthTransactError::Data(vec![1, 2, 3, 4])));
        assert_eq!((object.code(), object.message()), (3, "execution reverted"));
        assert_eq!(object.data().unwrap().get(), "\"0x01020304\"");
        let object = ErrorObjectOwned::from(CallError::from(EthTransactError::Data(vec![])));
        assert_eq!(object.data().unwrap().get(), "\"0x\"");
    }

    #[test]
    fn panic_codes_should_be_told_in_words() {
        let mut data = vec![0x4e, 0x48, 0x7b, 0x71];
        data.extend(abi_word(0x11));
        assert_eq!(revert_reason(&data).unwrap(), "arithmetic underflow or overflow");
    }

    #[test]
    fn malformed_revert_data_should_have_no_reason() {
        let good = error_string("long enough to be cut in the middle of the text");
        for length in 0..good.len() - 20 {
            assert_eq!(revert_reason(&good[..length]), None, "cut at {length}");
        }
        let mut huge = vec![0x08, 0xc3, 0x79, 0xa0];
        huge.extend([0xff; 64]);
        assert_eq!(revert_reason(&huge), None);
    }

    #[test]
    fn start_errors_should_be_one_line_naming_value_and_remedy() {
        let address: SocketAddr = "127.0.0.1:8545".parse().unwrap();
        let busy = Error::Listen {
            address,
            cause: std::io::ErrorKind::AddrInUse.into(),
        };
        let other = Error::OtherChain {
            dir: "/data/eth-rpc".into(),
            stored: H256::repeat_byte(1),
            node: H256::repeat_byte(2),
        };
        assert!(busy.to_string().contains("8545") && busy.to_string().contains("--eth-rpc-port"));
        assert!(other.to_string().contains("/data/eth-rpc") && other.to_string().contains("0x0101"));
        for error in [busy, other, Error::Origin("x y".into())] {
            assert!(!error.to_string().contains('\n'));
        }
    }
}
