//! Which kind of message it is: the variant of an enum, by its number and its name.
//!
//! Serde knows both of every input, so no role has to list its kinds a second time. Nothing is serialized: the serializer
//! stops at the variant.

use std::fmt;

use serde::ser::{self, Impossible, Serialize, Serializer};

/// A variant of an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its number in the enum, from 0.
    pub index: u32,
    /// Its name in the code.
    pub name: &'static str,
}

/// The variant that a value is; `None` for what is no enum.
pub fn kind_of<T: Serialize>(value: &T) -> Option<Kind> {
    value.serialize(Variant).ok()
}

/// A serializer that reads the variant and nothing else.
struct Variant;

/// What it is given is no enum.
#[derive(Debug)]
struct NoVariant;

impl fmt::Display for NoVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an enum")
    }
}

impl std::error::Error for NoVariant {}

impl ser::Error for NoVariant {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// The rest of a variant, which nobody reads.
struct Rest(Kind);

impl ser::SerializeTupleVariant for Rest {
    type Ok = Kind;
    type Error = NoVariant;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), NoVariant> {
        Ok(())
    }

    fn end(self) -> Result<Kind, NoVariant> {
        Ok(self.0)
    }
}

impl ser::SerializeStructVariant for Rest {
    type Ok = Kind;
    type Error = NoVariant;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, _: &T) -> Result<(), NoVariant> {
        Ok(())
    }

    fn end(self) -> Result<Kind, NoVariant> {
        Ok(self.0)
    }
}

/// Everything that is no enum.
macro_rules! no_variant {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, _: $type) -> Result<Kind, NoVariant> {
            Err(NoVariant)
        })*
    };
}

impl Serializer for Variant {
    type Ok = Kind;
    type Error = NoVariant;
    type SerializeSeq = Impossible<Kind, NoVariant>;
    type SerializeTuple = Impossible<Kind, NoVariant>;
    type SerializeTupleStruct = Impossible<Kind, NoVariant>;
    type SerializeTupleVariant = Rest;
    type SerializeMap = Impossible<Kind, NoVariant>;
    type SerializeStruct = Impossible<Kind, NoVariant>;
    type SerializeStructVariant = Rest;

    no_variant! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    }

    fn serialize_none(self) -> Result<Kind, NoVariant> {
        Err(NoVariant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Kind, NoVariant> {
        Err(NoVariant)
    }

    fn serialize_unit(self) -> Result<Kind, NoVariant> {
        Err(NoVariant)
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, name: &'static str) -> Result<Kind, NoVariant> {
        Ok(Kind { index, name })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<Kind, NoVariant> {
        Err(NoVariant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        _: &T,
    ) -> Result<Kind, NoVariant> {
        Ok(Kind { index, name })
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, NoVariant> {
        Err(NoVariant)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, NoVariant> {
        Err(NoVariant)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, NoVariant> {
        Err(NoVariant)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Rest, NoVariant> {
        Ok(Rest(Kind { index, name }))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NoVariant> {
        Err(NoVariant)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, NoVariant> {
        Err(NoVariant)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Rest, NoVariant> {
        Ok(Rest(Kind { index, name }))
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::{gossip, peer};

    use super::*;

    #[test]
    fn an_input_s_kind_is_its_variant_whatever_its_form() {
        let kind = |input: &gossip::Input| kind_of(input).unwrap();
        let resync = kind(&gossip::Input::ResyncRequested);
        let clock = kind(&gossip::Input::Clock { unix_ms: 1 });
        assert_eq!((clock.index, clock.name, resync.name), (0, "Clock", "ResyncRequested"));
        assert!(resync.index > 0);
        assert_eq!(kind_of(&peer::Input::AddressesLearned(vec![])).unwrap().name, "AddressesLearned");
        assert_eq!(kind_of(&vec![1, 2]), None);
        assert_eq!(kind_of(&"text"), None);
    }
}
