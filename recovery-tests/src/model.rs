//! What may be there after a crash.
//!
//! Every item (a key, or a group of keys that one command writes together) belongs to one client, which issues its
//! commands one after the other. So its state after a crash is the last acknowledged one, or one that a later command,
//! issued and not acknowledged, would have made.

use std::collections::VecDeque;
use std::fmt::Debug;

/// One item's possible states.
#[derive(Debug)]
pub struct Item<S> {
    acknowledged: S,
    /// States after each command that was issued since.
    issued: VecDeque<S>,
}

impl<S: Clone + PartialEq + Debug> Item<S> {
    pub fn new(state: S) -> Self {
        Self { acknowledged: state, issued: VecDeque::new() }
    }

    /// The state that the next command meets.
    pub fn latest(&self) -> &S {
        self.issued.back().unwrap_or(&self.acknowledged)
    }

    /// A command was issued that makes the state `next`.
    pub fn issue(&mut self, next: S) {
        self.issued.push_back(next);
    }

    /// The oldest issued command was acknowledged.
    pub fn acknowledge(&mut self) {
        if let Some(state) = self.issued.pop_front() {
            self.acknowledged = state;
        }
    }

    /// May the item be found like this after a crash? If so, it goes on from there.
    ///
    /// # Errors
    /// Something acknowledged was lost, or something was never issued; the text tells.
    pub fn found(&mut self, state: S) -> Result<(), String> {
        if state != self.acknowledged && !self.issued.contains(&state) {
            return Err(format!(
                "found {state:?}; acknowledged {:?}, issued since {:?}",
                self.acknowledged, self.issued
            ));
        }
        self.acknowledged = state;
        self.issued.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Item;

    #[test]
    fn only_acknowledged_or_later_issued_states_pass() {
        let mut item = Item::new(0);
        item.issue(1);
        item.issue(2);
        item.acknowledge();
        assert!(item.found(0).is_err(), "an acknowledged write was lost");
        assert!(item.found(3).is_err(), "never issued");
        assert_eq!(item.found(2), Ok(()));
        item.issue(3);
        assert_eq!(item.found(2), Ok(()));
        assert!(item.found(3).is_err(), "it was lost and may not come back");
    }
}
