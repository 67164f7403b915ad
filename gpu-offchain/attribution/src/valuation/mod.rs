//! What rows are worth and which ones look like gaming: families of copies, outliers in self-influence,
//! values by nearest neighbours.
//!
//! Nothing here moves money. A family trains on its representative alone, so a copy has no gradient to be
//! paid for; an outlier or a row of negative value is held for a person to look at.

mod families;
mod neighbours;
mod outliers;

pub use families::families;
pub use neighbours::neighbour_values;
pub use outliers::{outliers, Outlier};
