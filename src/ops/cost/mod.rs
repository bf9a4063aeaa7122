//! `cost`: what a repository costs, will cost, and would cost.

mod stored;

pub use stored::{Inventory, Past, used_days};
