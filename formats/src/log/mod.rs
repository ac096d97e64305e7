//! The bytes of the log: effects, frames, segments, and the MANIFEST that names the files.
//!
//! ```text
//! MANIFEST ── names ──► segment files ── hold ──► frames ── hold ──► effects (RESP arrays)
//!          └─ names ──► snapshots (RDB files)
//! ```

pub mod effect;
pub mod frame;
pub mod ids;
pub mod manifest;
mod manifest_bounds;
mod manifest_text;
pub mod segment;

pub use effect::{EffectError, EffectReader};
pub use frame::{Frame, FrameError, FrameHeader, TransactionEntry};
pub use ids::{CheckpointId, Epoch, FrameNo, Gsn, LogId, Position, SegmentNo, SegmentUid, ShardId};
pub use manifest::{Manifest, ManifestError, UnverifiedManifest};
pub use segment::{SegmentError, SegmentHeader};
