mod draw;
mod invariants;
mod membership;
mod money;
mod rounds;
mod votes;
