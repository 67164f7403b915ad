//! Protobuf, as far as the blocks and messages of IPFS programs need it: fields that are numbers or bytes.
//! <https://protobuf.dev/programming-guides/encoding/>

/// Appends a number as protobuf writes it, seven bits a byte.
pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field whose type is bytes.
pub fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a field whose type is a number.
pub fn number(field: u8, value: u64, out: &mut Vec<u8>) {
    out.push(field << 3);
    varint(value, out);
}

/// A message that is read field by field.
pub struct Fields<'a>(pub &'a [u8]);

/// What a field holds.
pub enum Value<'a> {
    /// A number.
    Number(u64),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// The number that comes next, none if what comes is no number of 64 bits.
    pub fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7F);
            value |= bits.checked_shl(shift).filter(|moved| moved >> shift == bits)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The field that comes next with its number, none if what comes is no field that is read here.
    #[allow(clippy::should_implement_trait)] // It borrows from the message, and its end is not an error's.
    pub fn next(&mut self) -> Option<(u64, Value<'a>)> {
        let head = self.varint()?;
        let value = match head & 7 {
            0 => Value::Number(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        Some((head >> 3, value))
    }
}
