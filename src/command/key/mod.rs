//! Commands on keys of any type: [`basic`] (is it there, away with it), [`expiry`], [`scan`] (walks over all keys),
//! [`random`], [`transfer`] (rename and copy), [`serialize`] (DUMP and RESTORE), [`object`] (how values are kept), and
//! [`across`]: the same when the keys are on several shards.

pub mod across;
pub mod basic;
pub mod expiry;
pub mod object;
pub mod random;
pub mod scan;
pub mod serialize;
pub mod transfer;
