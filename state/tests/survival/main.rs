//! What a store survives: power cuts at every change of the disk, failures of every call, damage, and a disk that stalls.
#![cfg(test)]

mod cuts;
mod damage;
mod faults;
mod golden;
mod killed;
mod model;
mod power;
mod sim;
mod stall;
