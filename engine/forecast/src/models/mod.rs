//! Closed-form models. Each says its formula, what it assumes, and where it is from.
//!
//! Units are in the types. Where input has no meaning for a model (nothing to divide by, more parts needed than there are)
//! the answer is `LB0911` with the reason, never a number. Every model is tested against a simulation that does not know the
//! formula, and against values that can be worked out by hand.

pub mod availability;
pub mod cost;
pub mod frequency;
pub mod point;
pub mod recovery;
pub mod scheme;
pub mod storage;
