//! Damage.
use crate::family::{Counts, Family, Place};
/// Damage.
pub const FAMILY: Family = Family { name: "damage", about: "", share: 2, round };
fn round(_seed: u64, _place: &Place) -> Result<Counts, String> {
    Ok(Counts::default())
}
