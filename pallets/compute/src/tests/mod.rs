mod bonds;
mod deliver;
mod draws;
mod hook;
mod invariants;
mod late;
mod order;
mod slash;
