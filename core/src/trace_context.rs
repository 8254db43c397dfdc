//! Which trace a request belongs to: the context of a distributed trace, as it is carried from node to node.
//!
//! Its fields, and its text in an HTTP header, are those of the W3C recommendation Trace Context (level 1, section 3.2).
//! Nobody vouches for it: whoever sends one says that a trace exists, and proves nothing. `tracestate` is not carried.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::Rejected;

/// The span within which something is asked for, and the trace to which that belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct TraceContext {
    /// The trace, never all zeros.
    pub trace: [u8; 16],
    /// The span, never all zeros.
    pub span: [u8; 8],
    /// Whether what is done for it is to be told. It was decided where the trace began.
    pub sampled: bool,
}

impl TraceContext {
    /// Checks what came from others.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if the trace or the span is all zeros, which means that there is none.
    pub fn checked(self) -> Result<Self, Rejected> {
        let named = self.trace != [0; 16] && self.span != [0; 8];
        if named { Ok(self) } else { Err(Rejected::Malformed) }
    }

    /// Reads the header `traceparent`. Of a later version than 00, what this one knows is read, as the recommendation
    /// says.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] for a text of more than [`TRACEPARENT_BYTES_MAX`], [`Rejected::Malformed`] for anything else
    /// that is no context.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        if text.len() > TRACEPARENT_BYTES_MAX {
            return Err(Rejected::OverLimit);
        }
        let mut fields = text.split('-');
        let mut field = || fields.next().ok_or(Rejected::Malformed);
        let [version] = hex(field()?)?;
        let (trace, span) = (hex(field()?)?, hex(field()?)?);
        let [flags] = hex(field()?)?;
        let more = fields.next().is_some();
        if version == VERSION_FORBIDDEN || (version == 0 && more) {
            return Err(Rejected::Malformed);
        }
        Self { trace, span, sampled: flags & SAMPLED != 0 }.checked()
    }

    /// As [`TRACE_CONTEXT_BYTES`] bytes: trace, span, flags.
    pub fn to_bytes(self) -> [u8; TRACE_CONTEXT_BYTES] {
        let mut bytes = [0; TRACE_CONTEXT_BYTES];
        bytes[..16].copy_from_slice(&self.trace);
        bytes[16..24].copy_from_slice(&self.span);
        bytes[24] = if self.sampled { SAMPLED } else { 0 };
        bytes
    }

    /// From what [`TraceContext::to_bytes`] makes. Flags that are not known count for nothing.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] as for [`TraceContext::checked`].
    pub fn from_bytes(bytes: &[u8; TRACE_CONTEXT_BYTES]) -> Result<Self, Rejected> {
        let (trace, rest) = bytes.split_first_chunk().expect("BUG: it begins with a trace");
        let (span, flags) = rest.split_first_chunk().expect("BUG: a span follows");
        Self { trace: *trace, span: *span, sampled: flags[0] & SAMPLED != 0 }.checked()
    }
}

/// As the header `traceparent` has it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", u8::from(self.sampled))
    }
}

/// Lower-case digits only, as the recommendation says.
fn hex<const N: usize>(text: &str) -> Result<[u8; N], Rejected> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(Rejected::Malformed),
    };
    let (text, mut bytes) = (text.as_bytes(), [0; N]);
    if text.len() != 2 * N {
        return Err(Rejected::Malformed);
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

/// Length of a context as bytes.
pub const TRACE_CONTEXT_BYTES: usize = 25;
/// Longest text that is read as a context, in bytes: that of version 00 has 55.
pub const TRACEPARENT_BYTES_MAX: usize = 128;
const SAMPLED: u8 = 1;
const VERSION_FORBIDDEN: u8 = 0xff;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn context() -> impl Strategy<Value = TraceContext> {
        (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<bool>())
            .prop_map(|(trace, span, sampled)| TraceContext { trace, span, sampled })
            .prop_filter("named", |context| context.checked().is_ok())
    }

    proptest! {
        #[test]
        fn a_context_survives_text_and_bytes(context in context()) {
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Ok(context));
            prop_assert_eq!(TraceContext::from_bytes(&context.to_bytes()), Ok(context));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = TraceContext::parse(&text);
        }

        #[test]
        fn a_changed_byte_is_refused_or_another_context(at in 0..GOOD.len(), to: u8) {
            let mut text = GOOD.as_bytes().to_vec();
            text[at] = to;
            if let Ok(text) = String::from_utf8(text) && let Ok(read) = TraceContext::parse(&text) {
                prop_assert!(read.checked().is_ok());
            }
        }
    }

    #[test]
    fn the_example_of_the_recommendation_is_read() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!((context.trace[0], context.span[7], context.sampled), (0x4b, 0xb7, true));
        assert!(!TraceContext::parse(&GOOD.replace("-01", "-00")).unwrap().sampled);
        let later = GOOD.replacen("00", "cc", 1) + "-what-will-be";
        assert_eq!(TraceContext::parse(&later), Ok(context), "a later version says more");
    }

    #[test]
    fn what_is_no_context_is_refused_by_name() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let no_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let upper = GOOD.to_uppercase();
        let longer = format!("{GOOD}-00");
        let forbidden = GOOD.replacen("00", "ff", 1);
        for text in ["", "-", "00", "00---", zeros, no_span, &upper, &longer, &forbidden, &GOOD[..54], "ä0-a-b-c"] {
            assert_eq!(TraceContext::parse(text), Err(Rejected::Malformed), "{text:?}");
        }
        assert_eq!(TraceContext::parse(&"0".repeat(TRACEPARENT_BYTES_MAX + 1)), Err(Rejected::OverLimit));
        assert_eq!(TraceContext::from_bytes(&[0; TRACE_CONTEXT_BYTES]), Err(Rejected::Malformed));
    }
}
