//! What a recovery will take, and what it will cost, before it happens.
//!
//! - [`quantity`]: seconds, bytes, money and probabilities as types. What has no meaning (less than nothing, a probability of
//!   1.2) is refused when it is made, so no model has to ask, and no model gives a NaN or an infinity.
//! - [`models`]: closed-form models with their formulas, units and sources.
//! - [`history`]: what earlier runs took, read from their events.
//! - [`plan`]: a plan or a run under way, simulated many times over what is known of its steps.
//!
//! Pure: no clock, no files, and all that is random comes from a seed that the caller gives. The same input gives the same
//! answer to the last digit.

pub mod history;
pub mod models;
mod parse;
pub mod plan;
pub mod quantity;
pub mod random;
mod span;

pub use history::History;
pub use plan::{Forecast, Question, forecast, reforecast};
pub use quantity::{Bytes, Money, MoneyRate, Probability, Rate, Seconds};
