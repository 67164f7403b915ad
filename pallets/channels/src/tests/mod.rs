mod charge;
mod close;
mod open;
mod replay;
