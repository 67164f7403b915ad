mod audit;
mod claims;
mod credits;
mod expiry;
mod funding;
mod grant;
mod invariants;
