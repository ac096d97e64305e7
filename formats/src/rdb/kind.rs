//! The types of values: what a user calls them, and in which of the many forms a file holds them.

use super::version::{Dialect, Version};

/// What `TYPE` answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ValueType {
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
    Module,
}

impl ValueType {
    pub const ALL: [ValueType; 7] = [
        ValueType::String,
        ValueType::List,
        ValueType::Set,
        ValueType::SortedSet,
        ValueType::Hash,
        ValueType::Stream,
        ValueType::Module,
    ];

    /// The name that Redis' `TYPE` uses.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::String => "string",
            ValueType::List => "list",
            ValueType::Set => "set",
            ValueType::SortedSet => "zset",
            ValueType::Hash => "hash",
            ValueType::Stream => "stream",
            ValueType::Module => "module",
        }
    }

    /// The type with that name.
    pub fn from_name(name: &str) -> Option<ValueType> {
        ValueType::ALL.into_iter().find(|value_type| value_type.name() == name)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $byte:literal, $type:ident, $encoding:literal, since $since:literal;)*) => {
        /// The form in which a file holds a value: one for each type byte and dialect.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum ValueKind {
            $($(#[$doc])* $kind,)*
        }

        impl ValueKind {
            pub const ALL: &'static [ValueKind] = &[$(ValueKind::$kind),*];

            /// Its place in the table above: the type byte, or beyond all type bytes where the dialects clash.
            const fn table_byte(self) -> u8 {
                match self { $(ValueKind::$kind => $byte,)* }
            }

            /// What a user calls it.
            pub const fn value_type(self) -> ValueType {
                match self { $(ValueKind::$kind => ValueType::$type,)* }
            }

            /// How the file encodes it.
            pub const fn encoding(self) -> &'static str {
                match self { $(ValueKind::$kind => $encoding,)* }
            }

            /// The first version that has it.
            pub const fn since(self) -> u16 {
                match self { $(ValueKind::$kind => $since,)* }
            }
        }
    };
}

kinds! {
    String = 0, String, "string", since 1;
    List = 1, List, "linkedlist", since 1;
    Set = 2, Set, "hashtable", since 1;
    /// Scores as text.
    SortedSetText = 3, SortedSet, "skiplist-text", since 1;
    Hash = 4, Hash, "hashtable", since 1;
    /// Scores as eight bytes.
    SortedSet = 5, SortedSet, "skiplist", since 8;
    /// Of release candidates; its end cannot be found.
    OpaqueModule = 6, Module, "module-pre-ga", since 8;
    Module = 7, Module, "module", since 8;
    HashZipmap = 9, Hash, "zipmap", since 2;
    ListZiplist = 10, List, "ziplist", since 2;
    SetIntset = 11, Set, "intset", since 2;
    SortedSetZiplist = 12, SortedSet, "ziplist", since 2;
    HashZiplist = 13, Hash, "ziplist", since 4;
    /// A chain of ziplists.
    ListQuicklist = 14, List, "quicklist", since 7;
    Stream1 = 15, Stream, "stream-1", since 9;
    HashListpack = 16, Hash, "listpack", since 10;
    SortedSetListpack = 17, SortedSet, "listpack", since 10;
    /// A chain of listpacks and plain nodes.
    ListQuicklist2 = 18, List, "quicklist-2", since 10;
    /// With the first and the largest deleted id.
    Stream2 = 19, Stream, "stream-2", since 10;
    SetListpack = 20, Set, "listpack", since 11;
    /// With the time at which a consumer was last active.
    Stream3 = 21, Stream, "stream-3", since 11;
    /// Fields with times of expiry, absolute; of release candidates.
    HashExpiringPreGa = 22, Hash, "hashtable-ex-pre-ga", since 12;
    HashListpackExPreGa = 23, Hash, "listpack-ex-pre-ga", since 12;
    /// Fields with times of expiry, relative to the earliest.
    HashExpiring = 24, Hash, "hashtable-ex", since 12;
    HashListpackEx = 25, Hash, "listpack-ex", since 12;
    /// Valkey's fields with times of expiry.
    ValkeyHashExpiring = 122, Hash, "hashtable-2", since 80;
}

/// Valkey's own type byte, which Redis uses for something else.
const VALKEY_HASH_EXPIRING: u8 = 22;

/// For each byte the kind in the dialect Redis: looked up once per key.
const REDIS_KINDS: [Option<ValueKind>; 26] = {
    let mut kinds = [None; 26];
    let mut i = 0;
    while i < ValueKind::ALL.len() {
        let kind = ValueKind::ALL[i];
        if (kind.table_byte() as usize) < kinds.len() {
            kinds[kind.table_byte() as usize] = Some(kind);
        }
        i += 1;
    }
    kinds
};

impl ValueKind {
    /// The kind that `byte` stands for. Kinds newer than the file's version are accepted: nothing else could be meant.
    #[inline]
    pub fn from_byte(byte: u8, dialect: Dialect) -> Option<ValueKind> {
        if dialect == Dialect::Valkey && byte >= VALKEY_HASH_EXPIRING {
            return (byte == VALKEY_HASH_EXPIRING).then_some(ValueKind::ValkeyHashExpiring);
        }
        REDIS_KINDS.get(usize::from(byte)).copied().flatten()
    }

    /// The type byte in a file.
    pub const fn byte(self) -> u8 {
        match self {
            ValueKind::ValkeyHashExpiring => VALKEY_HASH_EXPIRING,
            kind => kind.table_byte(),
        }
    }

    /// Whether the value is one packed blob and nothing else.
    pub const fn is_one_blob(self) -> bool {
        use ValueKind::{
            HashListpack, HashListpackExPreGa, HashZiplist, HashZipmap, ListZiplist, SetIntset, SetListpack,
            SortedSetListpack, SortedSetZiplist,
        };
        matches!(
            self,
            HashListpack
                | HashListpackExPreGa
                | HashZiplist
                | HashZipmap
                | ListZiplist
                | SetIntset
                | SetListpack
                | SortedSetListpack
                | SortedSetZiplist
        )
    }

    /// Whether a program that reads `version` can read this kind.
    pub fn is_in(self, version: Version) -> bool {
        match version.dialect {
            // Valkey knows all that Redis had up to version 11.
            Dialect::Valkey => self == ValueKind::ValkeyHashExpiring || self.since() <= 11,
            Dialect::Redis => self.since() <= version.number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_kinds_belong_together() {
        for &kind in ValueKind::ALL {
            let dialect =
                if kind == ValueKind::ValkeyHashExpiring { Dialect::Valkey } else { Dialect::Redis };
            assert_eq!(ValueKind::from_byte(kind.byte(), dialect), Some(kind));
        }
        assert_eq!(ValueKind::from_byte(22, Dialect::Redis), Some(ValueKind::HashExpiringPreGa));
        assert_eq!(ValueKind::from_byte(22, Dialect::Valkey), Some(ValueKind::ValkeyHashExpiring));
        for byte in [8, 26, 122, 243] {
            assert_eq!(ValueKind::from_byte(byte, Dialect::Redis), None);
            assert_eq!(ValueKind::from_byte(byte, Dialect::Valkey), None);
        }
        assert_eq!(ValueKind::from_byte(24, Dialect::Valkey), None);
    }

    #[test]
    fn a_version_holds_the_kinds_of_its_time() {
        assert!(ValueKind::SetListpack.is_in(Version::redis(11)));
        assert!(!ValueKind::SetListpack.is_in(Version::redis(10)));
        assert!(ValueKind::Stream3.is_in(Version::valkey(80)));
        assert!(!ValueKind::HashExpiring.is_in(Version::valkey(80)));
    }
}
