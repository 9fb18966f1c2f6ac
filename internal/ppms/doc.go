// Package ppms speaks PUMAPI, the HTTP interface of PPMS.
//
// A [Reader] only reads: a plan that holds one cannot write. A [Writer] is a Reader with the writes: the three of the sync, and
// those of the toolbox. Each call is one POST made by one function, exchange.go; each of the five shapes of an answer (bare list,
// table, pairs, positions, status word) has one parser; an action is a few lines that join the two.
//
// PUMAPI answers 200 to nearly everything, and what it says of failures is in the text. Every failure here is an [*Error]
// whose Kind says what happened. "Is it an error", "may I send it again" ([Error.Retryable]) and "was it written" ([FateOf])
// are three questions. Reads are tried again, writes never: their answer proves little, so the caller reads back.
package ppms
