//! What a key can hold, and how it is handed out.
//!
//! Invariants:
//! 1. Cloning an [`Object`] is one reference count: it can go to another thread while the owner goes on.
//! 2. Whoever changes an object that is shared copies it first.

use triomphe::Arc;

/// The type of a value, as kept in four bits of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    String = 0,
    List = 1,
    Set = 2,
    ZSet = 3,
    Hash = 4,
    Stream = 5,
}

impl Type {
    /// The name that TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::ZSet => "zset",
            Type::Hash => "hash",
            Type::Stream => "stream",
        }
    }

    /// The type of a record's four bits, which [`Type`] itself wrote.
    pub(super) fn from_bits(bits: u8) -> Type {
        match bits {
            0 => Type::String,
            1 => Type::List,
            2 => Type::Set,
            3 => Type::ZSet,
            4 => Type::Hash,
            5 => Type::Stream,
            _ => unreachable!("type bits {bits} were never written"),
        }
    }
}

/// A value that stands outside its page, or a copy of a value apart from any key. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    Str(Arc<Vec<u8>>),
}

impl Object {
    pub fn string(bytes: Vec<u8>) -> Object {
        Object::Str(Arc::new(bytes))
    }

    pub fn kind(&self) -> Type {
        match self {
            Object::Str(_) => Type::String,
        }
    }

    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Object::Str(bytes) => ValueRef::Str(bytes),
        }
    }

    /// Whether others hold the object too.
    pub(super) fn is_shared(&self) -> bool {
        match self {
            Object::Str(bytes) => !bytes.is_unique(),
        }
    }

    /// Whether this is the same object, not an equal one.
    pub(super) fn is_same(&self, other: &Object) -> bool {
        match (self, other) {
            (Object::Str(one), Object::Str(other)) => Arc::ptr_eq(one, other),
        }
    }

    /// Lets go of the object. Answers what that gives back, in bytes: nothing if others hold it.
    pub(super) fn release(self) -> usize {
        let bytes = self.heap_bytes();
        let was_last = match self {
            Object::Str(string) => Arc::into_unique(string).is_some(),
        };
        if was_last { bytes } else { 0 }
    }

    /// An estimate of what the object takes on the heap, in bytes.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Object::Str(bytes) => 32 + bytes.capacity(),
        }
    }
}

/// A value as a lookup finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'a> {
    Str(&'a [u8]),
}

impl<'a> ValueRef<'a> {
    /// The bytes of a string; nothing for another type.
    pub fn as_str(self) -> Option<&'a [u8]> {
        match self {
            ValueRef::Str(bytes) => Some(bytes),
        }
    }
}

/// A key with what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub key: &'a [u8],
    pub value: ValueRef<'a>,
    /// When the key ends, in Unix milliseconds. The keyspace itself never looks at the time.
    pub expire_at: Option<u64>,
    pub kind: Type,
}

impl Entry<'_> {
    /// Whether the key has ended at `now_ms`.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expire_at.is_some_and(|at| at <= now_ms)
    }
}
