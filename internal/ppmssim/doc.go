// Package ppmssim is a PPMS for people who have none at hand: a server that speaks PUMAPI with its quirks and traps, over
// accounts, units, systems and rights that it keeps in memory or in a file.
//
// A [Sim] is made from a [Seed], served by [Sim.Handler] or [Sim.Start], and looked into by [Sim.Effects] and
// [Sim.Snapshot]. Methods like [Sim.PutUser] and [Sim.SetRight] are the hands of staff, who change things in PPMS's web
// pages while nobody looks. A [Fault] makes it fail in one of the ways in which servers and networks fail.
//
// The shapes of the answers are those that public clients recorded against live servers (PyPPMS, Imagopole's Java client,
// CRUK-CI's Ruby wrapper, the scripts of UC Davis, King's College London and the University of Queensland) and those of the
// vendor's documentation, rev. 2014.0. Where both are silent, the comment at the code says that it is a choice: a client
// must not depend on it.
//
// An action is one function and one line in the table of actions.go.
package ppmssim
