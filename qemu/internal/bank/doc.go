// Package bank is a workload on tables for the tests of package qemu: clerks move
// money between accounts, and count in a ledger how often they did. The guest
// works with it, the host looks at what a pulled plug has left.
//
// It owns the tables and what must hold of them, and guarantees nothing: it only
// looks (Look refuses a bank whose sum is wrong). It imports dbms/store and below.
package bank
