// Package reconcile decides what has to change in PPMS so that it agrees with the directory.
//
// It is pure: it reads no clock, no file and no network, and the same input gives the same plan whatever its order. Start
// at [Compute], which turns people, accounts, rights and what the ledger remembers into a [Plan] and into the
// [Observations] that the ledger shall remember next. [Judge] then says which of the plan's changes may be written.
//
// Words: a person is one directory entry, mapped; an account is one PPMS user; a system is one bookable instrument; a right
// is the level of an account on a system. An account is managed when a [Link] ties it to the stable id of an entry; all
// others are local and never written.
package reconcile
