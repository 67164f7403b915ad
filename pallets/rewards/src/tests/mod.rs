mod claims;
mod expiry;
mod funding;
mod grant;
