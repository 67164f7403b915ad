//! What rows are worth and which ones look like gaming: families of copies, outliers in self-influence,
//! values by nearest neighbours, records that wait for a person.
//!
//! Nothing here moves money. A family trains on its representative alone, so a copy has no gradient to be
//! paid for; an outlier or a row of negative value is held for a person to look at.

mod families;
mod likeness;
mod neighbours;
mod outliers;
mod review;

pub use families::families;
pub use likeness::{runs, words, Likeness};
pub use neighbours::neighbour_values;
pub use outliers::{outliers, Outlier};
pub use review::{record_values, review, Held, Reason, Reviewed};
