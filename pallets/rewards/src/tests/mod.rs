mod audit;
mod claims;
mod expiry;
mod funding;
mod grant;
mod invariants;
