mod charge;
mod close;
mod open;
